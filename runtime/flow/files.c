#include "flow/load.h"
#include "flow/names.h"

#include <dirent.h>
#include <errno.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t files_list(struct load *load, const char *dir, const char *shown_dir, char ***ret)
{
    *ret = NULL;
    DIR *stream = opendir(dir);
    if (!stream) {
        if (errno != ENOENT)
            problem_add(load->problems, shown_dir, 0, 0, "this folder cannot be read: %s",
                        strerror(errno));
        return 0;
    }
    size_t count = 0;
    char **list = NULL;
    const struct dirent *entry;
    while ((entry = readdir(stream))) {
        struct str name = str_from(entry->d_name);
        if (name.ptr[0] == '.')
            continue;
        char *shown_name = xasprintf("%s/%s", shown_dir, entry->d_name);
        if (str_ends(name, ".yml")) {
            problem_warn(load->problems, shown_name, 0, 0,
                         "this file is not read: give it a name that ends in .yaml");
        } else if (str_ends(name, ".test.yaml")) {
            /* a test beside its workflow: `runnel test` reads it */
        } else if (str_ends(name, ".yaml")) {
            name.len -= 5;
            if (is_plain_name(name)) {
                list = xrealloc(list, (count + 1) * sizeof(*list));
                list[count++] = str_dup(name);
            } else {
                problem_add(load->problems, shown_name, 0, 0,
                            "a file's name may have letters, digits, '-', '_' and '.' before "
                            ".yaml, 100 at most");
            }
        }
        free(shown_name);
    }
    closedir(stream);
    if (count > 1)
        qsort(list, count, sizeof(*list), compare);
    *ret = list;
    return count;
}

void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
