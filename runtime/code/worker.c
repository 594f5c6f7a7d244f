#include "code/worker.h"

__asm__(".section .rodata\n"
        ".globl code_node_worker, code_python_worker\n"
        "code_node_worker:\n"
        ".incbin \"" RUNNEL_CODE_DIR "/worker.mjs\"\n"
        ".byte 0\n"
        "code_python_worker:\n"
        ".incbin \"" RUNNEL_CODE_DIR "/worker.py\"\n"
        ".byte 0\n"
        ".previous\n");
