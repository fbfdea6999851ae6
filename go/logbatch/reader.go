// SPDX-License-Identifier: BSD-3-Clause

package logbatch

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// A Header is what all records of a batch share.
type Header struct {
	Stream string // the log stream's enum name, as "Conn::LOG"
	Writer string // the writer's enum name, as "Log::WRITER_ASCII"
	Filter string // the name of the filter, mostly "default"
	Path   string // the path, which names the log file, as "conn"
	Fields []Field
}

// A Field describes one column.
type Field struct {
	// Name is the path of the record field, parts joined by dots, as "id.orig_h".
	Name string
	// Secondary is a second name that no log uses, if HasSecondary is set.
	Secondary    string
	HasSecondary bool
	// Type is the type of all values in the column.
	Type Type
	// Subtype is the type of the elements of a set or vector, and 0 for other types.
	Subtype Type
	// Optional says that the innermost record field is &optional or has a &default. Values may be unset even if it is
	// neither, namely if the record that the field is in is unset.
	Optional bool
}

// TypeName returns the type as Zeek's ASCII writer has it in its "#types" line, as "set[string]".
func (f Field) TypeName() string {
	if f.Type == Set || f.Type == Vector {
		return f.Type.String() + "[" + f.Subtype.String() + "]"
	}
	return f.Type.String()
}

// A Protocol is the transport protocol of a port: 0 unknown, 1 TCP, 2 UDP, 3 ICMP.
type Protocol uint8

// The protocols a port can have.
const (
	ProtocolUnknown Protocol = iota
	TCP
	UDP
	ICMP
)

// A Reader goes over the records of a batch. It is not safe for use by several goroutines.
type Reader struct {
	header  Header
	p       []byte
	pos     int
	records int
	left    int
	row     []Value
}

// NewReader checks payload as Validate does and returns a Reader for it. The payload must not change while the Reader
// and the values it returns are in use. What it allocates is in proportion to the number of fields, not of records.
func NewReader(payload []byte) (*Reader, error) {
	if err := Validate(payload); err != nil {
		return nil, err
	}
	r := &Reader{p: payload}
	r.header.Stream = r.str()
	r.header.Writer = r.str()
	r.header.Filter = r.str()
	r.header.Path = r.str()
	r.header.Fields = make([]Field, r.u32())
	for i := range r.header.Fields {
		f := &r.header.Fields[i]
		if f.HasSecondary = r.flag(); f.HasSecondary {
			f.Secondary = r.str()
		}
		f.Name = r.str()
		f.Type = Type(r.u32())
		f.Subtype = Type(r.u32())
		f.Optional = r.flag()
	}
	r.records = int(r.u32())
	r.left = r.records
	r.row = make([]Value, len(r.header.Fields))
	return r, nil
}

func (r *Reader) u32() uint32 {
	r.pos += 4
	return binary.BigEndian.Uint32(r.p[r.pos-4:])
}

func (r *Reader) str() string {
	n := int(r.u32())
	r.pos += n
	return string(r.p[r.pos-n : r.pos])
}

func (r *Reader) flag() bool {
	r.pos++
	return r.p[r.pos-1] == 1
}

// Header returns the header of the batch. The caller must not change it.
func (r *Reader) Header() *Header { return &r.header }

// Len returns the number of records in the batch.
func (r *Reader) Len() int { return r.records }

// Next goes to the next record and reports whether there is one. It does not allocate.
func (r *Reader) Next() bool {
	if r.left == 0 {
		return false
	}
	r.left--
	for i := range r.row {
		r.row[i], r.pos = readValue(r.p, r.pos)
	}
	return true
}

// Row returns the record that Next went to, one value per field in the order of Header().Fields. The slice is used
// again by Next; its values stay valid.
func (r *Reader) Row() []Value { return r.row }

// A Value is one value of a record, or an element of a set or vector. It points into the batch it comes from. Its
// methods yield the zero value if the value is unset or of another type than they are for.
type Value struct {
	typ     Type
	present bool
	body    []byte
}

// readValue returns the value at pos, which has been checked, and the position after it.
func readValue(p []byte, pos int) (v Value, next int) {
	v.typ = Type(binary.BigEndian.Uint32(p[pos:]))
	v.present = p[pos+8] == 1
	pos += minValue
	if !v.present {
		return v, pos
	}
	start := pos
	switch v.typ {
	case String, Enum, File, Func:
		start += 4
		pos = start + int(binary.BigEndian.Uint32(p[pos:]))
	case Port:
		pos += 12
	case Addr:
		pos += addrSize(p[pos])
	case Subnet:
		pos += 1 + addrSize(p[pos+1])
	case Set, Vector:
		n := binary.BigEndian.Uint64(p[pos:])
		for pos += 8; n > 0; n-- {
			_, pos = readValue(p, pos)
		}
	default:
		pos += 8
	}
	v.body = p[start:pos:pos]
	return v, pos
}

// addrSize returns the number of bytes of an address with its family.
func addrSize(family byte) int {
	if family == 4 {
		return 5
	}
	return 17
}

// Type returns the type of the value, which is that of its field or, for an element, its own.
func (v Value) Type() Type { return v.typ }

// IsSet reports whether the value is there. An element of a vector may be unset, too.
func (v Value) IsSet() bool { return v.present }

func (v Value) number(t Type) uint64 {
	if v.typ != t || !v.present {
		return 0
	}
	return binary.BigEndian.Uint64(v.body)
}

// Bool returns a bool.
func (v Value) Bool() bool { return v.number(Bool) != 0 }

// Int returns an int.
func (v Value) Int() int64 { return int64(v.number(Int)) }

// Count returns a count.
func (v Value) Count() uint64 { return v.number(Count) }

// Float returns a double, or the seconds of a time (since 1970) or an interval.
func (v Value) Float() float64 {
	switch v.typ {
	case Double, Time, Interval:
		return math.Float64frombits(v.number(v.typ))
	}
	return 0
}

// Time returns a time in UTC. A double that stands for the present is exact to about 200 ns. For NaN, and for times
// outside the years 1 to 9999, it returns the zero time.
func (v Value) Time() time.Time {
	if v.typ != Time || !v.present {
		return time.Time{}
	}
	s := v.Float()
	const min, max = -62135596800, 253402300800 // the years 1 and 10000
	if !(s >= min && s < max) {
		return time.Time{}
	}
	whole := math.Floor(s)
	return time.Unix(int64(whole), int64(math.Round((s-whole)*1e9))).UTC()
}

// Interval returns an interval, to the nanosecond. One too long for a Duration becomes the longest there is, and NaN
// becomes 0.
func (v Value) Interval() time.Duration {
	if v.typ != Interval || !v.present {
		return 0
	}
	switch ns := math.Round(v.Float() * 1e9); {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	case ns != ns:
		return 0
	default:
		return time.Duration(ns)
	}
}

// Bytes returns the text of a string, enum, file or func. It is part of the batch and must not be changed.
func (v Value) Bytes() []byte {
	switch v.typ {
	case String, Enum, File, Func:
		return v.body
	}
	return nil
}

// Text returns a copy of Bytes.
func (v Value) Text() string { return string(v.Bytes()) }

// Port returns a port.
func (v Value) Port() (number uint16, proto Protocol) {
	if v.typ != Port || !v.present {
		return 0, 0
	}
	return uint16(binary.BigEndian.Uint64(v.body)), Protocol(v.body[11])
}

func readAddr(body []byte) netip.Addr {
	if body[0] == 4 {
		return netip.AddrFrom4([4]byte(body[1:5]))
	}
	return netip.AddrFrom16([16]byte(body[1:17]))
}

// Addr returns an address, or the invalid one if the value is unset.
func (v Value) Addr() netip.Addr {
	if v.typ != Addr || !v.present {
		return netip.Addr{}
	}
	return readAddr(v.body)
}

// Subnet returns a subnet, or the invalid one if the value is unset.
func (v Value) Subnet() netip.Prefix {
	if v.typ != Subnet || !v.present {
		return netip.Prefix{}
	}
	a, bits := readAddr(v.body[1:]), int(v.body[0])
	if a.Is4() {
		bits -= 96
	}
	return netip.PrefixFrom(a, bits)
}

// Len returns the number of elements of a set or vector.
func (v Value) Len() int {
	if v.typ != Set && v.typ != Vector {
		return 0
	}
	return int(v.number(v.typ))
}

// AppendElements appends the elements of a set or vector to dst, in the order of the batch, and returns the result.
// It allocates only if dst is too small.
func (v Value) AppendElements(dst []Value) []Value {
	pos := 8
	for n := v.Len(); n > 0; n-- {
		var e Value
		e, pos = readValue(v.body, pos)
		dst = append(dst, e)
	}
	return dst
}

// A PortValue is a port as Go returns it.
type PortValue struct {
	Number uint16
	Proto  Protocol
}

// Go returns the value as a Go value, for where convenience counts more than allocations: nil if it is unset, bool,
// int64, uint64, float64 (double), time.Time, time.Duration, string, PortValue, netip.Addr, netip.Prefix or, for sets
// and vectors, []any.
func (v Value) Go() any {
	if !v.present {
		return nil
	}
	switch v.typ {
	case Bool:
		return v.Bool()
	case Int:
		return v.Int()
	case Count:
		return v.Count()
	case Double:
		return v.Float()
	case Time:
		return v.Time()
	case Interval:
		return v.Interval()
	case String, Enum, File, Func:
		return v.Text()
	case Port:
		n, proto := v.Port()
		return PortValue{n, proto}
	case Addr:
		return v.Addr()
	case Subnet:
		return v.Subnet()
	case Set, Vector:
		out := make([]any, 0, v.Len())
		for _, e := range v.AppendElements(make([]Value, 0, v.Len())) {
			out = append(out, e.Go())
		}
		return out
	}
	return nil
}
