#include <runnel/component.h>
