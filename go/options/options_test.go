// SPDX-License-Identifier: BSD-3-Clause

package options_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// The defaults of the Cluster::Backend::ZeroMQ module, and of what this project
// adds to it, as text.
var defaults = map[string]string{
	"node_id":      "",
	"event_format": "",
	"log_format":   "",

	"connect_log_endpoints":  "[]",
	"connect_xpub_endpoint":  "tcp://127.0.0.1:5556",
	"connect_xsub_endpoint":  "tcp://127.0.0.1:5555",
	"connect_xpub_nodrop":    "T",
	"debug_flags":            "0",
	"linger_ms":              "500",
	"listen_log_endpoint":    "",
	"listen_xpub_endpoint":   "tcp://127.0.0.1:5555",
	"listen_xsub_endpoint":   "tcp://127.0.0.1:5556",
	"listen_xpub_nodrop":     "T",
	"log_immediate":          "F",
	"log_rcvbuf":             "-1",
	"log_sndbuf":             "-1",
	"log_rcvhwm":             "1000",
	"log_sndhwm":             "1000",
	"poll_max_messages":      "100",
	"proxy_io_threads":       "2",
	"xpub_sndhwm":            "1000",
	"xpub_sndbuf":            "-1",
	"xsub_rcvhwm":            "1000",
	"xsub_rcvbuf":            "-1",
	"onloop_queue_hwm":       "10000",
	"ipv6":                   "F",
	"curve_server_publickey": "",
	"curve_server_secretkey": "",
	"curve_client_publickey": "",
	"curve_client_secretkey": "",

	"max_message_size":    "134217728",
	"engine_threads":      "3",
	"engine_gc_percent":   "100",
	"engine_memory_limit": "0",

	"xpub_overload":          "drop",
	"onloop_overload":        "drop",
	"log_overload":           "drop",
	"overload_block_limit":   "1s",
	"node_name":              "",
	"log_spill_dir":          ".",
	"log_spill_max_bytes":    "1073741824",
	"heartbeat_interval":     "2s",
	"heartbeat_timeout":      "6s",
	"tcp_keepalive":          "T",
	"tcp_keepalive_idle":     "15s",
	"reconnect_interval":     "100ms",
	"reconnect_interval_max": "1s",
}

func text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return "T"
		}
		return "F"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// all returns the options by name, as text.
func all(o *options.Options) map[string]string {
	m := map[string]string{}
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		m[v.Type().Field(i).Tag.Get("opt")] = text(v.Field(i))
	}
	return m
}

func TestDefaults(t *testing.T) {
	o := options.Default()
	if diff := cmp.Diff(defaults, all(&o)); diff != "" {
		t.Errorf("default options (-want +got):\n%s", diff)
	}
}

func TestSetReachesItsOptionAndNoOther(t *testing.T) {
	values := map[string]string{
		"connect_log_endpoints": "tcp://127.0.0.1:1", "connect_xpub_nodrop": "F", "listen_xpub_nodrop": "F",
		"log_immediate": "T", "ipv6": "T", "tcp_keepalive": "F",
		"xpub_overload": "block", "onloop_overload": "block", "log_overload": "spill",
		"node_name": "some text", "log_spill_dir": "/some/where",
	}
	for name, was := range defaults {
		value, given := values[name]
		switch {
		case given:
		case strings.HasSuffix(name, "endpoint"):
			value = "tcp://192.0.2.1:47761"
		case was == "" && strings.HasPrefix(name, "curve"):
			value = strings.Repeat("k", 40)
		case was == "":
			value = "some text"
		default:
			value = "7"
		}

		o := options.Default()
		if err := o.Set(name, value); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := map[string]string{}
		for n, v := range defaults {
			want[n] = v
		}
		want[name] = value
		switch {
		case name == "connect_log_endpoints":
			want[name] = "[" + value + "]"
		case value == "7" && strings.HasSuffix(was, "s"): // an interval
			want[name] = "7s"
		}
		if diff := cmp.Diff(want, all(&o)); diff != "" {
			t.Errorf("after %s=%s (-want +got):\n%s", name, value, diff)
		}
	}
}

func TestRanges(t *testing.T) {
	const int32s = "-2147483648 2147483647"
	ranges := map[string]string{
		"linger_ms":   "-1 2147483647",
		"xpub_sndhwm": "0 2147483647", "xsub_rcvhwm": "0 2147483647", "log_sndhwm": "0 2147483647", "log_rcvhwm": "0 2147483647",
		"xpub_sndbuf": "-1 2147483647", "xsub_rcvbuf": "-1 2147483647", "log_sndbuf": "-1 2147483647", "log_rcvbuf": "-1 2147483647",
		"onloop_queue_hwm": "0 18446744073709551615", "poll_max_messages": "0 18446744073709551615", "debug_flags": "0 18446744073709551615",
		"log_spill_max_bytes": "0 18446744073709551615",
		"max_message_size":    "0 9223372036854775807", "engine_memory_limit": "0 9223372036854775807",
		"proxy_io_threads": "1 64", "engine_threads": "1 64",
		"engine_gc_percent": int32s,
	}
	beyond := map[string]string{
		"-1": "-2", "0": "-1", "1": "0", "-2147483648": "-2147483649",
		"64": "65", "2147483647": "2147483648", "9223372036854775807": "9223372036854775808", "18446744073709551615": "18446744073709551616",
	}
	for name, bounds := range ranges {
		var lo, hi string
		fmt.Sscan(bounds, &lo, &hi)
		for _, inside := range []string{lo, hi} {
			o := options.Default()
			if err := o.Set(name, inside); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := all(&o)[name]; got != inside {
				t.Errorf("%s became %s, want %s", name, got, inside)
			}
		}
		for _, bad := range []string{beyond[lo], beyond[hi], "", " 1", "1 ", "0x10", "1e3", "many", "1_000", "T"} {
			o := options.Default()
			err := o.Set(name, bad)
			var of *options.Error
			if !errors.As(err, &of) {
				t.Errorf("%s %q: %v, want an *options.Error", name, bad, err)
				continue
			}
			for _, want := range []string{name, fmt.Sprintf("%q", bad), "from " + lo + " to " + hi} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s %q: the error %q does not say %s", name, bad, err, want)
				}
			}
			if diff := cmp.Diff(defaults, all(&o)); diff != "" {
				t.Errorf("%s %q was refused and yet changed something (-want +got):\n%s", name, bad, diff)
			}
		}
	}
}

func TestChoices(t *testing.T) {
	for name, choices := range map[string]string{
		"xpub_overload": "drop block", "onloop_overload": "drop block", "log_overload": "drop block spill",
	} {
		for _, value := range []string{"drop", "block", "spill", "", "Drop", "drop block", "ignore"} {
			o := options.Default()
			err := o.Set(name, value)
			if slices.Contains(strings.Fields(choices), value) {
				if err != nil || all(&o)[name] != value {
					t.Errorf("%s %q: %v", name, value, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s %q", name, value)) || !strings.Contains(err.Error(), "drop, block") {
				t.Errorf("%s %q: %v, want an error with the choices", name, value, err)
			}
		}
	}
}

// Intervals are in seconds, with fractions, as Zeek's are.
func TestIntervals(t *testing.T) {
	for value, want := range map[string]time.Duration{"0": 0, "1": time.Second, "0.25": 250 * time.Millisecond, "3600": time.Hour} {
		o := options.Default()
		if err := o.Set("overload_block_limit", value); err != nil || o.OverloadBlockLimit != want {
			t.Errorf("%q became %v, %v; want %v", value, o.OverloadBlockLimit, err, want)
		}
	}
	for name, bad := range map[string][]string{
		"overload_block_limit": {"3601", "-1", "-0.001", "", "1s", "x", "NaN", "Inf", "1e400"},
		"tcp_keepalive_idle":   {"0", "0.9", "32768"},
		"heartbeat_interval":   {"2147484", "-1"},
	} {
		for _, value := range bad {
			o := options.Default()
			if err := o.Set(name, value); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s %q", name, value)) {
				t.Errorf("%s %q: %v, want an error with both", name, value, err)
			}
			if diff := cmp.Diff(defaults, all(&o)); diff != "" {
				t.Errorf("%s %q was refused and yet changed something (-want +got):\n%s", name, value, diff)
			}
		}
	}
}

func TestUnitIsInTheError(t *testing.T) {
	o := options.Default()
	if err := o.Set("linger_ms", "-5"); err == nil || !strings.HasSuffix(err.Error(), " ms") {
		t.Errorf("linger_ms -5: %v, want an error that ends with the unit", err)
	}
}

func TestBooleansAreTOrF(t *testing.T) {
	for _, bad := range []string{"", "t", "f", "true", "1", "TT"} {
		o := options.Default()
		err := o.Set("ipv6", bad)
		if want := fmt.Sprintf("ipv6 %q: must be T or F", bad); err == nil || err.Error() != want {
			t.Errorf("ipv6 %q: %v, want %s", bad, err, want)
		}
	}
}

func TestUnknownOptionIsNamed(t *testing.T) {
	for _, name := range []string{"no_such_option", "", "Linger_Ms", "linger_ms "} {
		o := options.Default()
		if err := o.Set(name, "1"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("option %q: %v, want an error with its name", name, err)
		}
	}
}

func TestListTakesAnElementEachTime(t *testing.T) {
	o := options.Default()
	want := []string{"tcp://192.0.2.1:1", "ipc:///tmp/x", "tcp://192.0.2.1:1"}
	for _, e := range want {
		if err := o.Set("connect_log_endpoints", e); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, o.ConnectLogEndpoints); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	fresh := options.Default()
	if len(fresh.ConnectLogEndpoints) != 0 {
		t.Errorf("fresh options have %v", fresh.ConnectLogEndpoints)
	}
}

func TestLaterValueWins(t *testing.T) {
	o := options.Default()
	for _, v := range []string{"1", "2"} {
		if err := o.Set("linger_ms", v); err != nil {
			t.Fatal(err)
		}
	}
	if o.LingerMs != 2 {
		t.Errorf("linger_ms is %d, want 2", o.LingerMs)
	}
}

func TestTextWithNULIsRefused(t *testing.T) {
	for _, name := range []string{"node_id", "connect_xpub_endpoint", "connect_log_endpoints", "curve_server_publickey"} {
		o := options.Default()
		if err := o.Set(name, "a\x00b"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s with a NUL byte: %v, want an error", name, err)
		}
	}
}

func TestPortsMustExist(t *testing.T) {
	for _, name := range []string{"connect_xpub_endpoint", "connect_xsub_endpoint", "connect_log_endpoints", "listen_xpub_endpoint",
		"listen_xsub_endpoint", "listen_log_endpoint"} {
		for _, bad := range []string{"tcp://127.0.0.1:65536", "tcp://127.0.0.1:70123", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:", "tcp://127.0.0.1:x", "tcp://host"} {
			o := options.Default()
			if err := o.Set(name, bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s %q", name, bad)) {
				t.Errorf("%s %q: %v, want an error with both", name, bad, err)
			}
		}
		for _, good := range []string{"", "tcp://127.0.0.1:65535", "tcp://[::1]:1", "tcp://*:5555", "ipc:///tmp/socket"} {
			o := options.Default()
			if err := o.Set(name, good); err != nil {
				t.Error(err)
			}
		}
	}
}

const (
	key    = "0123456789abcdefghijklmnopqrstuvwxyzABCD"
	secret = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
)

func TestSecretsAreNotShown(t *testing.T) {
	for _, name := range []string{"curve_server_secretkey", "curve_client_secretkey"} {
		o := options.Default()
		err := o.Set(name, secret+"\x00")
		if err == nil || strings.Contains(err.Error(), "Yne@") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it and hides the key", name, err)
		}
	}
}

func TestKeysThatAreNoKeysAreNamedAndNotShown(t *testing.T) {
	for _, name := range []string{"curve_server_publickey", "curve_server_secretkey", "curve_client_publickey", "curve_client_secretkey"} {
		for _, bad := range []string{secret[:39], secret + "x", secret[:20] + " " + secret[21:], secret[:39] + "\"", secret[:38] + "é", "Y"} {
			o := options.Default()
			if err := o.Set(name, bad); err != nil {
				t.Fatal(err)
			}
			err := o.CheckKeys()
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want an error that names it", name, err)
			} else if len(bad) > 1 && strings.Contains(err.Error(), bad[:4]) {
				t.Errorf("%s: %v shows the key", name, err)
			}
		}
		o := options.Default()
		o.Set(name, secret)
		if err := o.CheckKeys(); err != nil {
			t.Error(err)
		}
	}
}

// Encryption needs all the keys of its side: with one missing it is off.
func TestCurveNeedsAllItsKeys(t *testing.T) {
	for _, c := range []struct {
		set            string
		client, server bool
	}{
		{"", false, false},
		{"curve_server_publickey", false, false},
		{"curve_server_publickey curve_client_publickey", false, false},
		{"curve_server_publickey curve_client_publickey curve_client_secretkey", true, false},
		{"curve_server_secretkey", false, false},
		{"curve_server_secretkey curve_client_publickey", false, true},
		{"curve_server_publickey curve_server_secretkey curve_client_publickey curve_client_secretkey", true, true},
	} {
		o := options.Default()
		for _, name := range strings.Fields(c.set) {
			o.Set(name, key)
		}
		if o.CurveClient() != c.client || o.CurveServer() != c.server {
			t.Errorf("with %q: client %t, server %t; want %t, %t", c.set, o.CurveClient(), o.CurveServer(), c.client, c.server)
		}
	}
}
