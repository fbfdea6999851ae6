// SPDX-License-Identifier: BSD-3-Clause
//
// A stock Zeek has a component "ZeroMQ" of its own, and a second one of that
// name is a fatal error. Everything else in the world goes by that component:
// the enum Cluster::CLUSTER_BACKEND_ZEROMQ, zeekctl, WebSocket clients, users'
// scripts. So the component stays, and only what it makes changes: its factory,
// a function pointer in a private member without a setter.
//
// C++ lets the arguments of an explicit template instantiation name private
// members. The instantiation of Access below hands the pointer to that member
// to a friend function. If a Zeek renames the member or changes its type, this
// does not compile, which is what we want.

#include "Takeover.h"

#include <zeek/cluster/Manager.h>

#include <type_traits>
#include <utility>

namespace zeekzmq {

namespace {

Factory& factory_of(zeek::cluster::BackendComponent& component);

template <auto Member>
struct Access {
    friend Factory& factory_of(zeek::cluster::BackendComponent& component) { return component.*Member; }
};

template struct Access<&zeek::cluster::BackendComponent::factory>;

} // namespace

zeek::cluster::BackendComponent* builtin_component() { return zeek::cluster::manager->Backends().Lookup("ZeroMQ"); }

Factory replace_factory(zeek::cluster::BackendComponent& component, Factory factory) {
    static_assert(std::is_pointer_v<Factory>);
    return std::exchange(factory_of(component), factory);
}

} // namespace zeekzmq
