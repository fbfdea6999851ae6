// SPDX-License-Identifier: BSD-3-Clause
//
// Zeek's way in. Main thread only.

#pragma once

#include <zeek/plugin/Plugin.h>

namespace zeekzmq {

// Who makes the process's ZeroMQ backends.
enum class Mode {
    Sole,     // Zeek has none built in: the component is ours
    Takeover, // the built-in component makes ours
    Disabled, // ZEEKZMQ_DISABLE is set: the built-in backend, if any, is in charge
};

class Plugin : public zeek::plugin::Plugin {
public:
    // True if backends are ours, as far as is known before scripts are parsed.
    bool Active() const { return mode != Mode::Disabled; }

protected:
    zeek::plugin::Configuration Configure() override;
    void InitPostScript() override;
    std::pair<int, std::optional<std::string>> HookLoadFileExtended(LoadType type, const std::string& file,
                                                                    const std::string& resolved) override;

private:
    // This plugin's folder of scripts, absolute, without a slash at the end.
    std::string ScriptFolder() const;

    Mode mode = Mode::Sole;
};

extern Plugin plugin;

} // namespace zeekzmq
