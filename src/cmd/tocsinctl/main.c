/* The command line's entry; everything is in ctl/. */
#include "ctl/ctl.h"

#include <signal.h>

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return ctl_main(argc, argv);
}
