// SPDX-License-Identifier: BSD-3-Clause

#include "Options.h"

#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/Val.h>
#include <zeek/util.h>

#include <cstdlib>
#include <string_view>

namespace zeekzmq {

namespace {

// Every option that the engine takes from the scripts; options.zeek says what
// they are, and go/options reads them. The CURVE keys come by another way.
constexpr const char* names[] = {
    "connect_log_endpoints",
    "connect_xpub_endpoint",
    "connect_xpub_nodrop",
    "connect_xsub_endpoint",
    "debug_flags",
    "engine_gc_percent",
    "engine_memory_limit",
    "engine_threads",
    "heartbeat_interval",
    "heartbeat_timeout",
    "ipv6",
    "linger_ms",
    "listen_log_endpoint",
    "listen_xpub_endpoint",
    "listen_xpub_nodrop",
    "listen_xsub_endpoint",
    "log_immediate",
    "log_overload",
    "log_rcvbuf",
    "log_rcvhwm",
    "log_sndbuf",
    "log_sndhwm",
    "log_spill_dir",
    "log_spill_max_bytes",
    "max_message_size",
    "onloop_overload",
    "onloop_queue_hwm",
    "overload_block_limit",
    "poll_max_messages",
    "proxy_io_threads",
    "reconnect_interval",
    "reconnect_interval_max",
    "tcp_keepalive",
    "tcp_keepalive_idle",
    "xpub_overload",
    "xpub_sndbuf",
    "xpub_sndhwm",
    "xsub_rcvbuf",
    "xsub_rcvhwm",
};

zeek::ValPtr find(const std::string& name) {
    const auto& id = zeek::id::find("Cluster::Backend::ZeroMQ::" + name);
    return id ? id->GetVal() : nullptr;
}

// "drop" for Cluster::Backend::ZeroMQ::OVERLOAD_DROP.
std::string policy_name(std::string enum_name) {
    constexpr std::string_view prefix = "OVERLOAD_";
    if ( const auto at = enum_name.rfind(prefix); at != std::string::npos )
        enum_name.erase(0, at + prefix.size());
    return zeek::util::strtolower(enum_name);
}

std::string text_of(const zeek::ValPtr& v) {
    switch ( v->GetType()->Tag() ) {
        case zeek::TYPE_BOOL: return v->AsBool() ? "T" : "F";
        case zeek::TYPE_INT: return std::to_string(v->AsInt());
        case zeek::TYPE_COUNT: return std::to_string(v->AsCount());
        case zeek::TYPE_INTERVAL: return std::to_string(v->AsInterval()); // seconds
        case zeek::TYPE_ENUM: return policy_name(v->GetType()->AsEnumType()->Lookup(v->AsEnum()));
        default: return v->AsStringVal()->ToStdString();
    }
}

std::string find_text(const std::string& name) {
    const auto v = find(name);
    return v ? text_of(v) : "";
}

std::string environment(const char* name) {
    const char* v = std::getenv((std::string("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_") + name).c_str());
    return v ? v : "";
}

bool any(const CurveKeys& k) {
    return ! (k.client_public.empty() && k.client_secret.empty() && k.server_public.empty() && k.server_secret.empty());
}

} // namespace

CurveKeys CurveKeys::Load() {
    const CurveKeys script = {find_text("curve_client_publickey"), find_text("curve_client_secretkey"),
                              find_text("curve_server_publickey"), find_text("curve_server_secretkey")};
    const CurveKeys env = {environment("CLIENT_PUBLICKEY"), environment("CLIENT_SECRETKEY"),
                           environment("SERVER_PUBLICKEY"), environment("SERVER_SECRETKEY")};

    if ( any(script) && any(env) )
        zeek::reporter->FatalError(
            "ZeroMQ CURVE configured via script variable redefinitions and environment variables at the same time.");

    return any(env) ? env : script;
}

void CurveKeys::WarnIfIncomplete(bool connects, const char* listens) const {
    if ( ! any(*this) )
        return;

    if ( connects && (server_public.empty() || client_public.empty() || client_secret.empty()) )
        zeek::reporter->Warning(
            "ZeroMQ: connections to the broker and to loggers are not encrypted: that needs "
            "curve_server_publickey, curve_client_publickey and curve_client_secretkey");
    if ( listens && (server_secret.empty() || client_public.empty()) )
        zeek::reporter->Warning(
            "ZeroMQ: %s takes connections that are not encrypted: refusing them needs "
            "curve_server_secretkey and curve_client_publickey",
            listens);
}

void Options::AddScriptValues() {
    for ( const char* name : names ) {
        const auto v = find(name);
        if ( ! v )
            continue;

        if ( v->GetType()->Tag() == zeek::TYPE_VECTOR ) {
            const auto* vec = v->AsVectorVal();
            for ( unsigned int i = 0; i < vec->Size(); i++ )
                Add(name, vec->StringValAt(i)->ToStdString());
        }
        else
            Add(name, text_of(v));
    }
}

void Options::AddCurveKeys(const CurveKeys& keys) {
    Add("curve_client_publickey", keys.client_public);
    Add("curve_client_secretkey", keys.client_secret);
    Add("curve_server_publickey", keys.server_public);
    Add("curve_server_secretkey", keys.server_secret);
}

std::vector<zeekzmq_option> Options::View() const {
    std::vector<zeekzmq_option> view;
    view.reserve(list.size());
    for ( const auto& [name, value] : list )
        view.push_back({name.c_str(), value.data(), value.size()});
    return view;
}

bool listens_for_logs() { return ! find_text("listen_log_endpoint").empty(); }

int linger_ms() {
    const auto v = find("linger_ms");
    return v ? static_cast<int>(v->AsInt()) : 500;
}

Room Room::Of(const char* policy, const char* high_water_mark) {
    Room room;
    const auto hwm = find(high_water_mark);
    if ( find_text(policy) == "block" && hwm && hwm->AsInt() > 0 )
        room.depth_max = static_cast<uint64_t>(hwm->AsInt());
    if ( const auto limit = find("overload_block_limit") )
        room.wait = limit->AsInterval();
    return room;
}

bool use_builtin_backend() {
    const auto v = find("use_builtin_backend");
    return v && v->AsBool();
}

} // namespace zeekzmq
