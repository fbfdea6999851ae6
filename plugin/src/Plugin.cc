// SPDX-License-Identifier: BSD-3-Clause

#include "Plugin.h"

#include <zeek/Func.h>
#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/Val.h>
#include <zeek/cluster/Component.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "Backend.h"
#include "Compat.h"
#include "Metrics.h"
#include "Options.h"
#include "Takeover.h"
#include "loader.h"

#ifndef ZEEKZMQ_VERSION
#error "ZEEKZMQ_VERSION must be defined, such as \"1.2.3\""
#endif

namespace fs = std::filesystem;

namespace zeekzmq {

Plugin plugin;

namespace {

// Where the backend's scripts are in any of Zeek's script folders.
constexpr std::string_view package = "frameworks/cluster/backend/zeromq/";

// What the built-in component made before the takeover.
Factory builtin_factory = nullptr;

bool disabled_by_environment() {
    const char* v = std::getenv("ZEEKZMQ_DISABLE");
    return v && *v && std::string_view(v) != "0";
}

// Runs when scripts are parsed, so the script option can still decide.
std::unique_ptr<zeek::cluster::Backend> make_backend(
    std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
    std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs) {
    if ( builtin_factory && use_builtin_backend() )
        return builtin_factory(std::move(es), std::move(ls), std::move(ehs));

    // Beside the plugin's own library, wherever it was installed.
    zz_set_library((fs::path(plugin.PluginPath()).parent_path() / "libzeekzmq.so").c_str());
    metrics::initialize();
    return Backend::Instantiate(std::move(es), std::move(ls), std::move(ehs));
}

} // namespace

zeek::plugin::Configuration Plugin::Configure() {
    auto* builtin = builtin_component();
    const char* status;

    if ( disabled_by_environment() ) {
        mode = Mode::Disabled;
        status = builtin ? "inactive: ZEEKZMQ_DISABLE is set, the built-in backend is in charge" :
                           "inactive: ZEEKZMQ_DISABLE is set, and this Zeek has no built-in backend";
    }
    else if ( builtin ) {
        mode = Mode::Takeover;
        builtin_factory = replace_factory(*builtin, make_backend);
        status = "active: in place of the built-in backend";
    }
    else {
        mode = Mode::Sole;
        AddComponent(new zeek::cluster::BackendComponent("ZeroMQ", make_backend));
        status = "active: this Zeek has no built-in backend";
    }

    if ( mode != Mode::Disabled )
        EnableHook(zeek::plugin::HOOK_LOAD_FILE_EXT);

    zeek::plugin::Configuration config;
    config.name = "Zeek::ZeroMQ_Go";
    config.description = std::string("Cluster backend over ZeroMQ with its engine in Go (") + status + ")";
    sscanf(ZEEKZMQ_VERSION, "%d.%d.%d", &config.version.major, &config.version.minor, &config.version.patch);
    return config;
}

std::string Plugin::ScriptFolder() const {
    // <folder>/lib/<library> and <folder>/scripts.
    std::error_code ec;
    const auto library = fs::absolute(PluginPath(), ec);
    return (library.parent_path().parent_path() / "scripts").lexically_normal().string();
}

std::pair<int, std::optional<std::string>> Plugin::HookLoadFileExtended(LoadType type, const std::string& file,
                                                                        const std::string& resolved) {
    constexpr std::pair<int, std::optional<std::string>> not_ours{-1, std::nullopt};
    if ( type != SCRIPT )
        return not_ours;

    const auto at = resolved.rfind(package);
    if ( at == std::string::npos )
        return not_ours;

    const auto name = resolved.substr(at + package.size());
    if ( name != "options.zeek" && name != "main.zeek" && name != "connect.zeek" )
        return not_ours;

    // Zeek loads the text given here as often as it is asked to. A load of our
    // file by its name is left to Zeek, which loads a file once.
    const auto ours = ScriptFolder() + "/policy/" + std::string(package) + name;
    std::error_code ec;
    if ( fs::equivalent(resolved, ours, ec) )
        return not_ours;

    return {1, "@load " + ours + "\n"};
}

void Plugin::InitPostScript() {
    if ( mode != Mode::Takeover || use_builtin_backend() )
        return;

    // The built-in's function works on its own class of backend only.
    const auto& theirs = zeek::id::find("Cluster::Backend::ZeroMQ::spawn_zmq_proxy_thread");
    const auto& ours = zeek::id::find("Cluster::Backend::ZeroMQ::__spawn_broker");
    if ( theirs && ours )
        theirs->SetVal(ours->GetVal());
}

} // namespace zeekzmq
