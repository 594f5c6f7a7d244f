/* runnel: the one list of error codes, shared by components and the runtime.
 *
 * Every function that can fail returns 0 or one of these. The comment says what the engine makes of
 * a code that a component's run() returns: "retry" codes are tried again under the step's retry
 * policy, "final" ones are not (unless the workflow file says `retry: { on: all }`).
 */
#ifndef RUNNEL_ERRORS_H
#define RUNNEL_ERRORS_H

#define RN_OK 0
#define RN_EINVAL (-1)    /* final: an argument or a value from outside is wrong */
#define RN_ENOMEM (-2)    /* retry: a memory limit was met */
#define RN_ENOTFOUND (-3) /* final: no such thing */
#define RN_EEXISTS (-4)   /* final: there is one already */
#define RN_ETOOBIG (-5)   /* final: over a named limit */
#define RN_ECONFIG (-6)   /* final: the user's configuration is wrong; shown as such */
#define RN_EAUTH (-7)     /* final after one refresh of the account's token: credentials refused */
#define RN_ERATE (-8)     /* retry, not before the vendor's own hint: rate limited */
#define RN_ETIMEDOUT (-9) /* retry: a deadline passed and nothing was done */
/* retry: the other side is down, overloaded or could not be reached */
#define RN_EUNAVAILABLE (-10)
/* the outcome is not known (crash, lost reply): the step's on_unknown decides */
#define RN_EUNKNOWN (-11)
#define RN_ECANCELED (-12) /* final: the run was cancelled */
#define RN_EPERM (-13)     /* final: refused by a policy (egress, limits, rights) */
#define RN_EHTTP (-14)     /* final: the other side answered with a status of 400 or more */
#define RN_EIO (-15)       /* retry: a local I/O failure */
#define RN_ENOSPACE (-16)  /* retry: the store is at its quota or the disk is full */
#define RN_EFAILED (-17)   /* final: the component says that it failed; its message says why */
#define RN_EPROTOCOL (-18) /* final: bytes that do not follow their format */
#define RN_EABI (-19)      /* final: a plugin of another ABI */
/* internal: the source's db has moved on; the source run is done again */
#define RN_ECONFLICT (-20)
#define RN_EAGAIN (-21) /* internal: not now */

#endif
