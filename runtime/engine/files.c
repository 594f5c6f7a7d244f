/* The folders of runs: DATA/files/<run>, made when a step first needs one, the same for all steps
 * of the run, removed when it has ended. An empty one is removed at once; one with files by a
 * thread of its own, as that takes as long as the files are many. What a crash leaves behind is
 * swept at the next start. Thread: the loop's, but for the remover's own. */
#include "base/folder.h"
#include "engine/run.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct removal {
    char *path;
    struct removal *next;
};

struct files {
    char *dir;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct removal *first, **end;
    pthread_t thread;
    bool has_thread, is_stopping;
};

struct files *files_new(const char *data_dir)
{
    struct files *files = xcalloc(1, sizeof(*files));
    char *whole = realpath(data_dir, NULL); /* those who get it are in another folder */
    files->dir = xasprintf("%s/files", whole ? whole : data_dir);
    free(whole);
    files->end = &files->first;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->changed, NULL);
    return files;
}

/* ---- removing */

static void *remover_main(void *ctx)
{
    struct files *files = ctx;
    pthread_mutex_lock(&files->lock);
    for (;;) {
        struct removal *removal = files->first;
        if (!removal && files->is_stopping)
            break;
        if (!removal) {
            pthread_cond_wait(&files->changed, &files->lock);
            continue;
        }
        files->first = removal->next;
        if (!files->first)
            files->end = &files->first;
        pthread_mutex_unlock(&files->lock);
        struct err err = ERR_INIT;
        if (folder_remove(removal->path, &err))
            log_warn("the files of a run that has ended stay until the next start: %s", err.text);
        free(removal->path);
        free(removal);
        pthread_mutex_lock(&files->lock);
    }
    pthread_mutex_unlock(&files->lock);
    return NULL;
}

/* Takes `path`. */
static void remove_later(struct files *files, char *path)
{
    struct removal *removal = xcalloc(1, sizeof(*removal));
    removal->path = path;
    pthread_mutex_lock(&files->lock);
    *files->end = removal;
    files->end = &removal->next;
    if (!files->has_thread)
        files->has_thread = pthread_create(&files->thread, NULL, remover_main, files) == 0;
    pthread_cond_signal(&files->changed);
    pthread_mutex_unlock(&files->lock);
}

void files_free(struct files *files)
{
    if (!files)
        return;
    pthread_mutex_lock(&files->lock);
    files->is_stopping = true;
    pthread_cond_signal(&files->changed);
    pthread_mutex_unlock(&files->lock);
    if (files->has_thread)
        pthread_join(files->thread, NULL);
    for (struct removal *r = files->first, *next; r; r = next) {
        next = r->next; /* no thread was to be had: swept at the next start */
        free(r->path);
        free(r);
    }
    pthread_cond_destroy(&files->changed);
    pthread_mutex_destroy(&files->lock);
    free(files->dir);
    free(files);
}

void files_remove(struct files *files, const char *run)
{
    char *path = xasprintf("%s/%s", files->dir, run);
    if (rmdir(path) == 0 || errno == ENOENT)
        free(path);
    else
        remove_later(files, path);
}

void files_sweep(struct engine *engine)
{
    struct files *files = engine->files;
    DIR *dir = opendir(files->dir);
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    if (!dir || store_view_begin(engine->store, &view, &err)) {
        if (dir)
            (void)closedir(dir);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        uint64_t id = 0;
        struct run_record record;
        if (id_parse("run", str_from(e->d_name), &id))
            continue;
        int rc = run_get(STORE_VIEW(view), id, &record);
        if (rc == RN_ENOTFOUND || (rc == 0 && record.phase == RUN_ENDED))
            remove_later(files, xasprintf("%s/%s", files->dir, e->d_name));
    }
    store_view_end(view);
    (void)closedir(dir);
}

/* ---- making */

static int make(struct files *files, const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    if (errno == ENOENT && mkdir(files->dir, 0700) == 0) /* the first one of this project */
        return make(files, path, err);
    return err_set(err, RN_EIO, "the folder for the run's files, %s, cannot be made: %s", path,
                   strerrordesc_np(errno));
}

int files_of_run(struct run *run, struct json **ret, struct err *err)
{
    struct files *files = run->engine->files;
    char *path = xasprintf("%s/%s", files->dir, run->id_text);
    int rc = make(files, path, err);
    if (rc == 0) {
        run->may_have_files = true;
        *ret = json_new_object();
        json_set_string(*ret, "dir", path);
        json_set_integer(*ret, "limit", (int64_t)run->project->limits.files);
    }
    free(path);
    return rc;
}
