#include "cli/prompt.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

static struct termios before; /* what the handler brings back; set before the handler is */

/* Ctrl-C during a secret must not leave the terminal without its echo. */
static void restore_and_die(int number)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

char *prompt_line(const char *question, bool is_secret)
{
    bool hides = is_secret && tcgetattr(STDIN_FILENO, &before) == 0;
    struct sigaction restore = {.sa_handler = restore_and_die}, old_int, old_term;
    if (hides) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)sigaction(SIGINT, &restore, &old_int);
        (void)sigaction(SIGTERM, &restore, &old_term);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    /* asked when the echo is off: who answers at once is not seen, and loses nothing */
    fflush(stdout);
    fprintf(stderr, "%s", question);
    fflush(stderr);
    char *line = NULL;
    size_t size = 0;
    ssize_t n = getline(&line, &size, stdin);
    if (hides) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
        (void)sigaction(SIGINT, &old_int, NULL);
        (void)sigaction(SIGTERM, &old_term, NULL);
        fprintf(stderr, "\n");
    }
    if (n < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}
