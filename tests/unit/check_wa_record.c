#include "check_wa_ratchet.h"
TCase *record_cases(void) { return tcase_create("r"); }
