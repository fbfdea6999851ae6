// SPDX-License-Identifier: BSD-3-Clause

// Package options is the table of what can be set, in one place for the engine,
// the broker and the programs: every option has the name that it has in Zeek's
// Cluster::Backend::ZeroMQ module, its default, its unit and its range.
package options

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are the settings of a node or a broker. The tag opt is the name;
// default, min, max and unit are what they say; secret values never appear in
// an error or a log. Integers without bounds are 32-bit, as libzmq's are.
type Options struct {
	// NodeID signs every message of the node. No default: every process needs
	// one of its own.
	NodeID string `opt:"node_id"`

	// The one format of events and of log batches that the node decodes; empty:
	// any that the engine can check.
	EventFormat string `opt:"event_format"`
	LogFormat   string `opt:"log_format"`

	// Endpoints, as in zmq_tcp(7) and zmq_ipc(7).
	ConnectXPubEndpoint string   `opt:"connect_xpub_endpoint" endpoint:"1" default:"tcp://127.0.0.1:5556"`
	ConnectXSubEndpoint string   `opt:"connect_xsub_endpoint" endpoint:"1" default:"tcp://127.0.0.1:5555"`
	ConnectLogEndpoints []string `opt:"connect_log_endpoints" endpoint:"1"`
	ListenXPubEndpoint  string   `opt:"listen_xpub_endpoint" endpoint:"1" default:"tcp://127.0.0.1:5555"`
	ListenXSubEndpoint  string   `opt:"listen_xsub_endpoint" endpoint:"1" default:"tcp://127.0.0.1:5556"`
	ListenLogEndpoint   string   `opt:"listen_log_endpoint" endpoint:"1"`
	IPv6                bool     `opt:"ipv6"`

	// Whether reaching a high-water mark is noticed (T) or drops in silence (F).
	ConnectXPubNoDrop bool `opt:"connect_xpub_nodrop" default:"T"`
	ListenXPubNoDrop  bool `opt:"listen_xpub_nodrop" default:"T"`

	// How long unsent messages are kept at the end; -1: until sent.
	LingerMs int `opt:"linger_ms" default:"500" min:"-1" unit:"ms"`

	// High-water marks in messages, 0: none. Kernel buffers in bytes, -1: the
	// system's.
	XPubSndHWM   int    `opt:"xpub_sndhwm" default:"1000" min:"0" unit:"messages"`
	XPubSndBuf   int    `opt:"xpub_sndbuf" default:"-1" min:"-1" unit:"bytes"`
	XSubRcvHWM   int    `opt:"xsub_rcvhwm" default:"1000" min:"0" unit:"messages"`
	XSubRcvBuf   int    `opt:"xsub_rcvbuf" default:"-1" min:"-1" unit:"bytes"`
	OnloopHWM    uint64 `opt:"onloop_queue_hwm" default:"10000" unit:"events"`
	LogImmediate bool   `opt:"log_immediate"`
	LogSndHWM    int    `opt:"log_sndhwm" default:"1000" min:"0" unit:"batches"`
	LogSndBuf    int    `opt:"log_sndbuf" default:"-1" min:"-1" unit:"bytes"`
	LogRcvHWM    int    `opt:"log_rcvhwm" default:"1000" min:"0" unit:"batches"`
	LogRcvBuf    int    `opt:"log_rcvbuf" default:"-1" min:"-1" unit:"bytes"`

	// What happens at xpub_sndhwm, at onloop_queue_hwm and at log_sndhwm. Blocking
	// ends after overload_block_limit, and begins anew once there was room.
	XPubOverload       Policy        `opt:"xpub_overload" default:"drop" oneof:"drop block"`
	OnloopOverload     Policy        `opt:"onloop_overload" default:"drop" oneof:"drop block"`
	LogOverload        Policy        `opt:"log_overload" default:"drop" oneof:"drop block spill"`
	OverloadBlockLimit time.Duration `opt:"overload_block_limit" default:"1" max:"3600"`

	// Where log batches are kept with log_overload spill, by the node's name, and
	// how many bytes of them.
	NodeName         string `opt:"node_name"`
	LogSpillDir      string `opt:"log_spill_dir" default:"."`
	LogSpillMaxBytes uint64 `opt:"log_spill_max_bytes" default:"1073741824" unit:"bytes"`

	// A peer that does not answer for heartbeat_timeout is taken for dead;
	// heartbeat_interval 0: do not ask. The kernel's keep-alive does the same for
	// connections of peers without heartbeats.
	HeartbeatInterval time.Duration `opt:"heartbeat_interval" default:"2" max:"2147483"`
	HeartbeatTimeout  time.Duration `opt:"heartbeat_timeout" default:"6" max:"2147483"`
	TCPKeepalive      bool          `opt:"tcp_keepalive" default:"T"`
	TCPKeepaliveIdle  time.Duration `opt:"tcp_keepalive_idle" default:"15" min:"1" max:"32767"`

	// How long until a lost connection is tried again, at first and at most: the
	// time doubles with each try.
	ReconnectInterval    time.Duration `opt:"reconnect_interval" default:"0.1" max:"2147483"`
	ReconnectIntervalMax time.Duration `opt:"reconnect_interval_max" default:"1" max:"2147483"`

	// On listening sockets, a longer message ends the connection that brought it;
	// 0: no bound. A connecting socket would never connect again.
	MaxMessageSize uint64 `opt:"max_message_size" default:"134217728" max:"9223372036854775807" unit:"bytes"`

	// Messages taken from one socket before the next; 0: as many as there are.
	PollMaxMessages uint64 `opt:"poll_max_messages" default:"100" unit:"messages"`

	// I/O threads of a broker.
	ProxyIOThreads uint64 `opt:"proxy_io_threads" default:"2" min:"1" max:"64" unit:"threads"`

	DebugFlags uint64 `opt:"debug_flags"`

	// CURVE keys, Z85 text of 40 characters; empty: none.
	CurveServerPublicKey string `opt:"curve_server_publickey"`
	CurveServerSecretKey string `opt:"curve_server_secretkey" secret:"1"`
	CurveClientPublicKey string `opt:"curve_client_publickey"`
	CurveClientSecretKey string `opt:"curve_client_secretkey" secret:"1"`

	// The Go runtime: threads that run Go at a time, GOGC (negative: off), and
	// a soft limit of memory (0: none).
	EngineThreads     uint64 `opt:"engine_threads" default:"3" min:"1" max:"64" unit:"threads"`
	EngineGCPercent   int    `opt:"engine_gc_percent" default:"100" unit:"percent"`
	EngineMemoryLimit uint64 `opt:"engine_memory_limit" max:"9223372036854775807" unit:"bytes"`
}

// Policy says what happens at a high-water mark.
type Policy string

// The policies.
const (
	Drop  Policy = "drop"
	Block Policy = "block"
	Spill Policy = "spill"
)

// Bits of debug_flags.
const (
	DebugPoll   = 1       // what the engine's poll returned
	DebugThread = 2       // the engine's thread starting and ending
	DebugPanic  = 1 << 30 // for tests: panic at the first event sent
)

// Default returns the options with their defaults.
func Default() Options {
	var o Options
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		if d := v.Type().Field(i).Tag.Get("default"); d != "" {
			if err := set(v.Field(i), v.Type().Field(i), d); err != nil {
				panic(err)
			}
		}
	}
	return o
}

// Error is a value that an option cannot take.
type Error struct {
	Name, Value, Want string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %q: must be %s", e.Name, e.Value, e.Want)
}

// Set sets an option from text: integers in decimal, booleans "T" or "F". An
// option that is a list takes one more element with each call.
func (o *Options) Set(name, value string) error {
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("opt") == name {
			return set(v.Field(i), f, value)
		}
	}
	return fmt.Errorf("there is no option %q", name)
}

func set(v reflect.Value, f reflect.StructField, text string) error {
	bad := func(want string) error {
		shown := text
		if f.Tag.Get("secret") != "" {
			shown = "(hidden)"
		}
		return &Error{f.Tag.Get("opt"), shown, want}
	}

	if v.Type() == reflect.TypeFor[time.Duration]() {
		lo, hi := float64(bound(f, "min", 0)), float64(bound(f, "max", math.MaxInt32))
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= lo && n <= hi) {
			return bad(fmt.Sprintf("a time from %v to %v seconds", lo, hi))
		}
		v.SetInt(int64(n * float64(time.Second)))
		return nil
	}

	switch v.Kind() {
	case reflect.String:
		if choices := f.Tag.Get("oneof"); choices != "" && !slices.Contains(strings.Fields(choices), text) {
			return bad("one of " + strings.ReplaceAll(choices, " ", ", "))
		}
		if strings.IndexByte(text, 0) >= 0 {
			return bad("text without a NUL byte")
		}
		if f.Tag.Get("endpoint") != "" && !validPort(text) {
			return bad("an endpoint, with a port from 1 to 65535")
		}
		v.SetString(text)
	case reflect.Slice:
		if strings.IndexByte(text, 0) >= 0 {
			return bad("text without a NUL byte")
		}
		if f.Tag.Get("endpoint") != "" && !validPort(text) {
			return bad("an endpoint, with a port from 1 to 65535")
		}
		v.Set(reflect.Append(v, reflect.ValueOf(text)))
	case reflect.Bool:
		if text != "T" && text != "F" {
			return bad("T or F")
		}
		v.SetBool(text == "T")
	case reflect.Int:
		lo, hi := int64(bound(f, "min", math.MinInt32)), int64(bound(f, "max", math.MaxInt32))
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < lo || n > hi {
			return bad(fmt.Sprintf("an integer from %d to %d%s", lo, hi, unit(f)))
		}
		v.SetInt(n)
	case reflect.Uint64:
		lo, hi := uint64(bound(f, "min", 0)), uint64(math.MaxUint64)
		if m := f.Tag.Get("max"); m != "" {
			hi, _ = strconv.ParseUint(m, 10, 64)
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n < lo || n > hi {
			return bad(fmt.Sprintf("an integer from %d to %d%s", lo, hi, unit(f)))
		}
		v.SetUint(n)
	}
	return nil
}

// validPort says whether an endpoint, if it is of TCP, has a port that exists.
// libzmq takes the lowest 16 bits of any number, and 0 or * (in listening) for
// a port that the system chooses.
func validPort(endpoint string) bool {
	rest, tcp := strings.CutPrefix(endpoint, "tcp://")
	if !tcp {
		return true
	}
	port := rest[strings.LastIndexByte(rest, ':')+1:]
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "*" || err == nil
}

func bound(f reflect.StructField, tag string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(f.Tag.Get(tag), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func unit(f reflect.StructField) string {
	if u := f.Tag.Get("unit"); u != "" {
		return " " + u
	}
	return ""
}

// CurveClient says that connections are to be encrypted: the keys for it are
// all there.
func (o *Options) CurveClient() bool {
	return o.CurveServerPublicKey != "" && o.CurveClientPublicKey != "" && o.CurveClientSecretKey != ""
}

// CurveServer says that listening sockets are to be encrypted, and that clients
// need the public key that the options name.
func (o *Options) CurveServer() bool {
	return o.CurveServerSecretKey != "" && o.CurveClientPublicKey != ""
}

// CheckKeys says which key is not Z85 text of 40 characters.
func (o *Options) CheckKeys() error {
	for _, k := range []struct{ name, value string }{
		{"curve_server_publickey", o.CurveServerPublicKey},
		{"curve_server_secretkey", o.CurveServerSecretKey},
		{"curve_client_publickey", o.CurveClientPublicKey},
		{"curve_client_secretkey", o.CurveClientSecretKey},
	} {
		if k.value == "" {
			continue
		}
		if len(k.value) != 40 {
			return fmt.Errorf("%s: a key is 40 characters of Z85, this has %d", k.name, len(k.value))
		}
		if i := strings.IndexFunc(k.value, func(r rune) bool { return !strings.ContainsRune(z85, r) }); i >= 0 {
			return fmt.Errorf("%s: a key is 40 characters of Z85, character %d is none", k.name, i+1)
		}
	}
	return nil
}

const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
