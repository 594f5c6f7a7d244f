#include <runnel/testing.h>
