/* How many records a table of a store has, read with nothing but LMDB: so bench/run.py believes no
 * program's own word that it holds what it has accepted. */
#include <lmdb.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    MDB_stat stat = {0};
    if (argc < 2 || argc > 3) {
        (void)fputs("usage: bench_count FOLDER [TABLE]\n", stderr);
        return 2;
    }
    int rc = mdb_env_create(&env);
    rc = rc ? rc : mdb_env_set_maxdbs(env, 16);
    rc = rc ? rc : mdb_env_open(env, argv[1], MDB_RDONLY, 0600);
    rc = rc ? rc : mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    rc = rc ? rc : mdb_dbi_open(txn, argc == 3 ? argv[2] : NULL, 0, &dbi);
    rc = rc ? rc : mdb_stat(txn, dbi, &stat);
    if (rc) {
        fprintf(stderr, "bench_count: %s: %s\n", argv[1], mdb_strerror(rc));
        return 1;
    }
    printf("%zu\n", stat.ms_entries);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return 0;
}
