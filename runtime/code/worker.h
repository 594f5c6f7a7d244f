/* The workers' programs, for `node -e` and `python -c`. Private to the room. */
#ifndef RUNNEL_CODE_WORKER_H
#define RUNNEL_CODE_WORKER_H

extern const char code_node_worker[], code_python_worker[];

#endif
