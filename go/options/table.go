// SPDX-License-Identifier: BSD-3-Clause

package options

import (
	"reflect"
	"time"
)

// Info describes an option, for a program that lets its user set it.
type Info struct {
	Name    string
	Help    string // one line, without the unit
	Default string // as Set takes it
	Unit    string
	OneOf   string // the values that there are, separated by blanks; empty: any
	Bool    bool   // T or F
	List    bool   // takes one more element with each Set
	Time    bool   // seconds
	Secret  bool
}

// Table returns the options that a program's user may set, in the order in which
// they are declared.
func Table() []Info {
	var table []Info
	t := reflect.TypeFor[Options]()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("opt")
		info := Info{
			Name: name, Help: help[name], Default: f.Tag.Get("default"), Unit: f.Tag.Get("unit"), OneOf: f.Tag.Get("oneof"),
			Bool: f.Type.Kind() == reflect.Bool, List: f.Type.Kind() == reflect.Slice,
			Time: f.Type == reflect.TypeFor[time.Duration](), Secret: f.Tag.Get("secret") != "",
		}
		if info.Help == "" {
			continue
		}
		if info.Bool && info.Default == "" {
			info.Default = "F"
		}
		table = append(table, info)
	}
	return table
}

// help says in one line what each option is, for those that make sense outside
// Zeek.
var help = map[string]string{
	"connect_xpub_endpoint":  "where events go to: the broker's XSUB",
	"connect_xsub_endpoint":  "where events come from: the broker's XPUB",
	"connect_log_endpoints":  "a logger; may be given several times",
	"listen_xpub_endpoint":   "where the broker's XPUB listens, from which nodes receive events",
	"listen_xsub_endpoint":   "where the broker's XSUB listens, to which nodes send events",
	"listen_log_endpoint":    "where a logger listens",
	"ipv6":                   "allow IPv6 addresses in endpoints",
	"listen_xpub_nodrop":     "hold back events for subscribers that are too slow; F drops theirs in silence",
	"linger_ms":              "how long unsent messages are kept at the end; -1: until sent",
	"xpub_sndhwm":            "events held for sending; 0: no bound",
	"xpub_sndbuf":            "kernel buffer for sending events; -1: the system's",
	"xsub_rcvhwm":            "events held by the receiving socket; 0: no bound",
	"xsub_rcvbuf":            "kernel buffer for receiving events; -1: the system's",
	"onloop_queue_hwm":       "events held for this process; more are dropped; 0: no bound",
	"log_rcvhwm":             "log batches held by the receiving socket, for each sender; 0: no bound",
	"log_rcvbuf":             "kernel buffer for receiving logs; -1: the system's",
	"heartbeat_interval":     "how often a silent peer is asked whether it lives; 0: never",
	"heartbeat_timeout":      "how long a peer may be silent then",
	"tcp_keepalive":          "have the kernel find dead connections",
	"tcp_keepalive_idle":     "how long a connection may be idle before the kernel asks",
	"reconnect_interval":     "how long until a lost connection is tried again, at first",
	"reconnect_interval_max": "likewise, at most",
	"max_message_size":       "a longer message ends the connection that brought it; 0: no bound",
	"poll_max_messages":      "messages taken from one socket before the next; 0: no bound",
	"proxy_io_threads":       "libzmq's I/O threads",
	"curve_server_publickey": "CURVE: the public key of broker and loggers, 40 characters of Z85",
	"curve_server_secretkey": "CURVE: the secret key of broker and loggers",
	"curve_client_publickey": "CURVE: the public key of the nodes",
	"curve_client_secretkey": "CURVE: the secret key of the nodes",
}
