/* Feeds each file of the folders and files that are named to the fuzz target. Knows nothing of what
 * the target does. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static size_t replayed;

static int fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return 2;
}

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(path);
    uint8_t *data =
        malloc(size ? size : 1); /* no byte more: the address sanitizer guards the end */
    size_t got = data ? fread(data, 1, size, file) : 0;
    (void)fclose(file);
    int rc = 0;
    if (!data || got != size) {
        rc = fail(path);
    } else {
        printf("%s\n", path);
        (void)fflush(stdout); /* the last line names the file that ends the program */
        (void)LLVMFuzzerTestOneInput(data, size);
        replayed++;
    }
    free(data);
    return rc;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail(path);
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(folder))) {
        char *inner = NULL;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0)
            rc = 2;
        else
            rc = replay(inner);
        free(inner);
    }
    closedir(folder);
    return rc;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return fail(path);
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++)
        rc = replay(argv[i]);
    if (rc == 0 && replayed == 0) {
        fprintf(stderr, "nothing to replay: name a folder with a corpus\n");
        rc = 2;
    }
    printf("%zu replayed\n", replayed);
    return rc;
}
