// SPDX-License-Identifier: BSD-3-Clause
//
// How this plugin becomes the ZeroMQ backend of a Zeek that has one built in.

#pragma once

#include <zeek/cluster/Component.h>

namespace zeekzmq {

using Factory = zeek::cluster::BackendComponent::factory_callback;

// Zeek's own ZeroMQ backend, if it was built with one; else null.
zeek::cluster::BackendComponent* builtin_component();

// Makes a component create backends with another factory, and returns the one
// it had.
Factory replace_factory(zeek::cluster::BackendComponent& component, Factory factory);

} // namespace zeekzmq
