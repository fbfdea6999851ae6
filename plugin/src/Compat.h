// SPDX-License-Identifier: BSD-3-Clause
//
// Differences between the versions of Zeek that the plugin is built for, 8.0
// and later, all here.

#pragma once

#include <zeek/zeek-version.h>

#if ! defined(ZEEK_VERSION_NUMBER) || ZEEK_VERSION_NUMBER < 80000
#error "Zeek 8.0.0 or later is needed"
#endif
