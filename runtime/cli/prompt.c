#include "cli/prompt.h"

#include <termios.h>
#include <unistd.h>

char *prompt_line(const char *question, bool is_secret)
{
    struct termios before;
    bool hides = is_secret && tcgetattr(STDIN_FILENO, &before) == 0;
    fprintf(stderr, "%s", question);
    fflush(stderr);
    if (hides) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    char *line = NULL;
    size_t size = 0;
    ssize_t n = getline(&line, &size, stdin);
    if (hides) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (n < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}
