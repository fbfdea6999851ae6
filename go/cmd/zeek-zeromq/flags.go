// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/node"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// settings are the options that a command's flags set.
type settings struct {
	options.Options
	brokerHost string
	files      map[string]*string // of keys, by the option's name
	given      func(flag string) bool
}

// Options of commands that connect to a cluster's broker.
var clientOptions = []string{
	"connect_xsub_endpoint", "connect_xpub_endpoint", "ipv6", "linger_ms",
	"heartbeat_interval", "heartbeat_timeout", "reconnect_interval", "reconnect_interval_max",
	"curve_server_publickey", "curve_client_publickey", "curve_client_secretkey",
}

// addOptions gives a command the flags of the options of these names.
func addOptions(cmd *cobra.Command, names ...string) *settings {
	s := &settings{Options: options.Default(), files: map[string]*string{}, given: cmd.Flags().Changed}
	for _, info := range options.Table() {
		if !slices.Contains(names, info.Name) {
			continue
		}
		usage := info.Help
		if info.OneOf != "" {
			usage += ": " + strings.ReplaceAll(info.OneOf, " ", ", ")
		}
		f := cmd.Flags().VarPF(&optionValue{o: &s.Options, info: info}, flagName(info.Name), "", usage)
		if info.Bool {
			f.NoOptDefVal = "T"
		}
		if strings.HasPrefix(info.Name, "curve_") {
			s.files[info.Name] = cmd.Flags().String(flagName(info.Name)+"-file", "", "likewise, read from this `file`")
		}
		switch {
		case info.Bool:
			complete(cmd, f.Name, "T", "F")
		case info.OneOf != "":
			complete(cmd, f.Name, strings.Fields(info.OneOf)...)
		default:
			complete(cmd, f.Name)
		}
		if info.Secret {
			f.Usage += "; other users of the machine can see arguments, so better use a file"
		}
	}
	return s
}

// complete has a shell propose these values for a flag, and no files.
func complete(cmd *cobra.Command, flag string, values ...string) {
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// addClient gives a command the flags to reach a broker.
func addClient(cmd *cobra.Command) *settings {
	s := addOptions(cmd, clientOptions...)
	addBroker(cmd, s)
	return s
}

func addBroker(cmd *cobra.Command, s *settings) {
	cmd.Flags().StringVar(&s.brokerHost, "broker", "", "`host` of the broker, for both endpoints with their default ports")
	complete(cmd, "broker")
}

func flagName(option string) string { return strings.ReplaceAll(option, "_", "-") }

// complete takes keys from files and the environment, after the flags are
// parsed.
func (s *settings) complete() error {
	for name, file := range s.files {
		if *file == "" {
			continue
		}
		if s.given(flagName(name)) {
			return usagef("--%s and --%[1]s-file are both given", flagName(name))
		}
		text, err := os.ReadFile(*file)
		if err != nil {
			return usagef("--%s-file: %w", flagName(name), err)
		}
		if err := s.Set(name, strings.TrimSpace(string(text))); err != nil {
			return usageError{err}
		}
	}
	if err := node.KeysFromEnvironment(&s.Options); err != nil {
		return usageError{err}
	}

	if s.brokerHost != "" {
		if s.given("connect-xsub-endpoint") || s.given("connect-xpub-endpoint") {
			return usagef("--broker and --connect-*-endpoint are both given")
		}
		host := s.brokerHost
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			host = "[" + host + "]"
		}
		s.IPv6 = s.IPv6 || strings.HasPrefix(host, "[")
		if err := errors.Join(s.Set("connect_xsub_endpoint", "tcp://"+host+":5555"), s.Set("connect_xpub_endpoint", "tcp://"+host+":5556")); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// completeClient is complete, for a command that connects to a broker.
func (s *settings) completeClient() error {
	if err := s.complete(); err != nil {
		return err
	}
	keys := 0
	for _, k := range []string{s.CurveServerPublicKey, s.CurveClientPublicKey, s.CurveClientSecretKey} {
		if k != "" {
			keys++
		}
	}
	if keys != 0 && keys != 3 {
		return usagef("CURVE takes three keys: curve_server_publickey, curve_client_publickey and curve_client_secretkey; %d are given", keys)
	}
	return nil
}

// optionValue is an option as a flag.
type optionValue struct {
	o    *options.Options
	info options.Info
	text string
	set  bool
}

func (v *optionValue) String() string {
	switch {
	case v.set && v.info.Secret:
		return "(hidden)"
	case v.set:
		return v.text
	case v.info.Time && v.info.Default != "":
		return v.info.Default + "s"
	}
	return v.info.Default
}

func (v *optionValue) Type() string {
	switch {
	case v.info.Bool:
		return "T|F"
	case v.info.Time:
		return "time"
	case v.info.Unit != "":
		return v.info.Unit
	case strings.HasPrefix(v.info.Name, "curve_"):
		return "key"
	case strings.Contains(v.info.Name, "endpoint"):
		return "endpoint"
	}
	return "value"
}

// Set takes what the option takes, and for times also the likes of 500ms, and
// for booleans true and false.
func (v *optionValue) Set(text string) error {
	value := text
	if v.info.Bool {
		switch strings.ToLower(text) {
		case "t", "true":
			value = "T"
		case "f", "false":
			value = "F"
		}
	}
	if v.info.Time {
		if d, err := time.ParseDuration(text); err == nil {
			value = strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
		}
	}
	if err := v.o.Set(v.info.Name, value); err != nil {
		return err
	}
	v.text, v.set = text, true
	return nil
}

// logFlags are --log-format and --log-level.
type logFlags struct{ format, level string }

func addLog(cmd *cobra.Command, level string) *logFlags {
	f := &logFlags{}
	cmd.Flags().StringVar(&f.format, "log-format", "text", "format of messages on stderr: `text or json`")
	cmd.Flags().StringVar(&f.level, "log-level", level, "least `level` of messages: debug, info, warn or error")
	complete(cmd, "log-format", "text", "json")
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	return f
}

func (f *logFlags) logger(cmd *cobra.Command) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usagef("--log-level %q: must be debug, info, warn or error", f.level)
	}
	o := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), o)), nil
	}
	return nil, usagef("--log-format %q: must be text or json", f.format)
}

// nodeOptions are those with which a command connects.
func (s *settings) nodeOptions(log *slog.Logger) []node.Option {
	return []node.Option{node.WithOptions(s.Options), node.Logger(log),
		node.Set("xpub_overload", "block"), node.Set("log_overload", "block")}
}

func minArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("takes %s (see %s --help)", what, cmd.CommandPath())
		}
		return nil
	}
}

// plural is for messages: "1 event", "2 events".
func plural(n uint64, what string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
