// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"bytes"
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Value is one of the Go types below. Decoding yields no others; encoding also takes what ToValue takes.
//
//	Zeek                       Go
//	unset (in a record)        nil
//	bool                       bool
//	count                      uint64
//	int                        int64
//	double                     float64
//	string, file (its name)    string, any bytes, not necessarily UTF-8
//	addr                       netip.Addr, never an IPv4 address mapped into IPv6, never with a zone
//	subnet                     netip.Prefix, as for addr
//	port                       Port
//	time                       time.Time in UTC, 1678 to 2261, nanoseconds
//	interval                   time.Duration
//	enum                       Enum
//	set                        Set
//	table                      Table
//	vector, record, pattern,   List
//	function, opaque
//
// The elements of containers are Values again. A set or table with several index types has a List for every index.
type Value = any

// An Enum is the full name of an enum value as in a script: "Conn::LOG", or "tcp" for an enum of the global module.
type Enum string

// A Protocol is a transport protocol. The numbers are those of both event and log formats.
type Protocol uint8

// The protocols a Port can have.
const (
	ProtocolUnknown Protocol = iota
	TCP
	UDP
	ICMP
)

// String returns "tcp", "udp", "icmp", or "unknown" for any other protocol.
func (p Protocol) String() string {
	if p == ProtocolUnknown || int(p) >= len(protocolNames) {
		return "unknown"
	}
	return protocolNames[p]
}

// A Port is a transport-level port.
type Port struct {
	Number uint16
	Proto  Protocol
}

// String returns the port as in a script: "443/tcp".
func (p Port) String() string { return strconv.Itoa(int(p.Number)) + "/" + p.Proto.String() }

// ParsePort reads a port as String writes it; the protocol may also be "?". The error matches ErrPort.
func ParsePort(s string) (Port, error) {
	n, proto, ok := parsePort([]byte(s))
	if !ok {
		return Port{}, &SyntaxError{Err: ErrPort, Detail: quote(s)}
	}
	return Port{n, Protocol(proto)}, nil
}

// A List is the value of a vector, of a record (one slot per field in order of declaration, nil for an unset field), of
// an index of several parts, and of the types that Zeek sends in pieces.
type List []Value

// A Set is the value of a set. Its elements may be in any order but must differ.
type Set []Value

// Has reports whether v is an element.
func (s Set) Has(v Value) bool {
	for _, x := range s {
		if Compare(x, v) == 0 {
			return true
		}
	}
	return false
}

// A Table is the value of a table. Its pairs may be in any order but their keys must differ.
type Table []Pair

// A Pair is one entry of a Table.
type Pair struct{ Key, Value Value }

// Get returns the value of a key.
func (t Table) Get(key Value) (Value, bool) {
	for _, p := range t {
		if Compare(p.Key, key) == 0 {
			return p.Value, true
		}
	}
	return nil, false
}

// A Pattern is how Zeek sends a pattern: two texts of its regular expression, one for exact matches and one for
// matches anywhere. It encodes as, and can be read from, a List of two strings.
type Pattern struct {
	Exact    string
	Anywhere string
}

// NewPattern returns the pattern that a script writes as /re/. Zeek compiles the text when it receives it; it refuses
// a text it cannot compile.
func NewPattern(re string) Pattern {
	return Pattern{Exact: "^?(" + re + ")$?", Anywhere: `^?(.|\n)*(` + re + ")"}
}

// rank returns the binary tag of a canonical value, or numTags for any other.
func rank(v Value) byte {
	switch v.(type) {
	case nil:
		return tagNone
	case bool:
		return tagBool
	case uint64:
		return tagCount
	case int64:
		return tagInt
	case float64:
		return tagReal
	case string:
		return tagString
	case netip.Addr:
		return tagAddress
	case netip.Prefix:
		return tagSubnet
	case Port:
		return tagPort
	case time.Time:
		return tagTime
	case time.Duration:
		return tagInterval
	case Enum:
		return tagEnum
	case Set:
		return tagSet
	case Table:
		return tagTable
	case List:
		return tagList
	}
	return numTags
}

// Compare orders values as Zeek does when it sends a set or table: by type in the order of the table at Value, then
// by value: addresses bytewise with IPv4 before most of IPv6, subnets by address and then length, ports by number and
// then protocol, containers element by element. NaN comes before all other numbers and equals itself. Values of other
// types than the table's come last and are all equal.
func Compare(a, b Value) int {
	ta, tb := rank(a), rank(b)
	if ta != tb {
		return cmp.Compare(ta, tb)
	}
	switch a := a.(type) {
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	case uint64:
		return cmp.Compare(a, b.(uint64))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case string:
		return strings.Compare(a, b.(string))
	case netip.Addr:
		return compareAddr(a, b.(netip.Addr))
	case netip.Prefix:
		b := b.(netip.Prefix)
		if c := compareAddr(a.Addr(), b.Addr()); c != 0 {
			return c
		}
		return cmp.Compare(a.Bits(), b.Bits())
	case Port:
		b := b.(Port)
		if c := cmp.Compare(a.Number, b.Number); c != 0 {
			return c
		}
		return cmp.Compare(a.Proto, b.Proto)
	case time.Time:
		return a.Compare(b.(time.Time))
	case time.Duration:
		return cmp.Compare(a, b.(time.Duration))
	case Enum:
		return strings.Compare(string(a), string(b.(Enum)))
	case Set:
		return compareLists(a, b.(Set))
	case List:
		return compareLists(a, b.(List))
	case Table:
		b := b.(Table)
		for i := range min(len(a), len(b)) {
			if c := Compare(a[i].Key, b[i].Key); c != 0 {
				return c
			}
			if c := Compare(a[i].Value, b[i].Value); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a), len(b))
	}
	return 0
}

func compareLists[L ~[]Value](a, b L) int {
	for i := range min(len(a), len(b)) {
		if c := Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareAddr(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	return bytes.Compare(x[:], y[:])
}
