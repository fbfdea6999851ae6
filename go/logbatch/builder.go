// SPDX-License-Identifier: BSD-3-Clause

package logbatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// The faults a Builder can find. Its errors match one of them, or one of those of Validate.
var (
	// ErrSchema reports values that do not follow the fields: one of another type than its field, more or fewer
	// elements than announced, a record that is not complete.
	ErrSchema = errors.New("logbatch: value does not fit the schema")
	// ErrRange reports an invalid address or subnet, an address with a zone, or a protocol above 3.
	ErrRange = errors.New("logbatch: value out of range")
)

// A Builder makes a batch. Its methods add the values of a record one after the other, in the order of the fields; when
// the last field has its value, the next one starts a new record. Nothing is checked by reflection and nothing but the
// batch is allocated.
//
// The first error stays: later values are ignored, and Bytes returns it. A Builder is not safe for use by several
// goroutines.
type Builder struct {
	header  Header
	buf     []byte
	count   int // where the number of records stands
	records int
	column  int

	elements int // how many elements the set or vector that has been started still lacks

	err error
}

// NewBuilder returns a Builder for records with the given header, which must not change while the Builder is in use.
// The error matches ErrType if a field has a type that no log field can have.
func NewBuilder(h Header) (*Builder, error) {
	b := &Builder{}
	if err := b.Reset(h); err != nil {
		return nil, err
	}
	return b, nil
}

// Reset starts a new batch in the memory of the last one; see NewBuilder.
func (b *Builder) Reset(h Header) error {
	*b = Builder{header: h, buf: b.buf[:0]}
	for _, s := range [...]string{h.Stream, h.Writer, h.Filter, h.Path} {
		b.str(s)
	}
	b.u32(uint32(len(h.Fields)))
	for i, f := range h.Fields {
		if !f.Type.legal() {
			b.err = fmt.Errorf("%w: field %q has %v", ErrType, f.Name, f.Type)
			return b.err
		}
		isContainer := f.Type == Set || f.Type == Vector
		if isContainer && !f.Subtype.scalar() || f.Subtype < 0 || f.Subtype > lastType {
			b.err = fmt.Errorf("%w: field %q (number %d) of type %v has sub-type %v", ErrType, f.Name, i, f.Type, f.Subtype)
			return b.err
		}
		b.flag(f.HasSecondary)
		if f.HasSecondary {
			b.str(f.Secondary)
		}
		b.str(f.Name)
		b.u32(uint32(f.Type))
		b.u32(uint32(f.Subtype))
		b.flag(f.Optional)
	}
	b.count = len(b.buf)
	b.u32(0)
	return b.err
}

// Len returns the number of complete records.
func (b *Builder) Len() int { return b.records }

// Size returns the number of bytes so far.
func (b *Builder) Size() int { return len(b.buf) }

// Err returns the first error.
func (b *Builder) Err() error { return b.err }

// Bytes returns the batch, which belongs to the Builder until Reset; more records may be added, after which Bytes must
// be called again. The error is the first of all, or matches ErrSchema if a record is not complete, or ErrTooLarge.
func (b *Builder) Bytes() ([]byte, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case b.column != 0 || b.elements != 0:
		return nil, fmt.Errorf("%w: record %d ends at field %q", ErrSchema, b.records, b.header.Fields[b.column].Name)
	case len(b.buf) > MaxPayload:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b.buf), MaxPayload)
	}
	binary.BigEndian.PutUint32(b.buf[b.count:], uint32(b.records))
	return b.buf, nil
}

func (b *Builder) u32(v uint32) { b.buf = binary.BigEndian.AppendUint32(b.buf, v) }
func (b *Builder) u64(v uint64) { b.buf = binary.BigEndian.AppendUint64(b.buf, v) }

func (b *Builder) flag(v bool) {
	if v {
		b.buf = append(b.buf, 1)
	} else {
		b.buf = append(b.buf, 0)
	}
}

func (b *Builder) str(s string) {
	if len(s) > math.MaxInt32 {
		b.err = fmt.Errorf("%w: %d bytes", ErrString, len(s))
		return
	}
	b.u32(uint32(len(s)))
	b.buf = append(b.buf, s...)
}

func (b *Builder) fail(err error, format string, args ...any) {
	name := ""
	if b.column < len(b.header.Fields) {
		name = b.header.Fields[b.column].Name
	}
	b.err = fmt.Errorf("%w: record %d, field %q: %s", err, b.records, name, fmt.Sprintf(format, args...))
}

// want returns the type the next value must have.
func (b *Builder) want() Type {
	if len(b.header.Fields) == 0 {
		return noType
	}
	f := &b.header.Fields[b.column]
	if b.elements > 0 {
		return f.Subtype
	}
	return f.Type
}

// head starts a value and reports whether its body may follow.
func (b *Builder) head(t Type, present bool) bool {
	if b.err != nil {
		return false
	}
	if want := b.want(); t != want || t == noType {
		b.fail(ErrSchema, "a value of type %v, want %v", t, want)
		return false
	}
	b.u32(uint32(t))
	b.u32(0)
	b.flag(present)
	return true
}

// done ends a value, and the set or vector of which it was the last element.
func (b *Builder) done() {
	if b.elements > 0 {
		if b.elements--; b.elements > 0 {
			return
		}
	}
	if b.column++; b.column == len(b.header.Fields) {
		b.column = 0
		b.records++
	}
}

// Unset adds a value that is not there.
func (b *Builder) Unset() {
	if b.head(b.want(), false) {
		b.done()
	}
}

func (b *Builder) number(t Type, v uint64) {
	if b.head(t, true) {
		b.u64(v)
		b.done()
	}
}

// Bool adds a bool.
func (b *Builder) Bool(v bool) {
	if v {
		b.number(Bool, 1)
	} else {
		b.number(Bool, 0)
	}
}

// Int adds an int.
func (b *Builder) Int(v int64) { b.number(Int, uint64(v)) }

// Count adds a count.
func (b *Builder) Count(v uint64) { b.number(Count, v) }

// Double adds a double.
func (b *Builder) Double(v float64) { b.number(Double, math.Float64bits(v)) }

// Time adds a time. As a double it keeps about 200 ns of a time in the present.
func (b *Builder) Time(t time.Time) {
	b.Seconds(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
}

// Interval adds an interval.
func (b *Builder) Interval(d time.Duration) { b.Seconds(d.Seconds()) }

// Seconds adds a time, in seconds since 1970, or an interval, whichever is next.
func (b *Builder) Seconds(s float64) {
	t := Time
	if b.want() == Interval {
		t = Interval
	}
	b.number(t, math.Float64bits(s))
}

// Text adds a string, enum, file or func, whichever is next. The name of an enum is the full one, as "Notice::LOG".
func (b *Builder) Text(s string) {
	if b.textHead(len(s)) {
		b.buf = append(b.buf, s...)
		b.done()
	}
}

// TextBytes adds what Text does, from a slice that it copies.
func (b *Builder) TextBytes(s []byte) {
	if b.textHead(len(s)) {
		b.buf = append(b.buf, s...)
		b.done()
	}
}

func (b *Builder) textHead(n int) bool {
	t := String
	switch want := b.want(); want {
	case Enum, File, Func:
		t = want
	}
	if b.err == nil && n > math.MaxInt32 {
		b.fail(ErrString, "%d bytes", n)
	}
	if !b.head(t, true) {
		return false
	}
	b.u32(uint32(n))
	return true
}

// Port adds a port.
func (b *Builder) Port(number uint16, proto Protocol) {
	if b.err == nil && proto > ICMP {
		b.fail(ErrRange, "protocol %d", proto)
	}
	if b.head(Port, true) {
		b.u64(uint64(number))
		b.u32(uint32(proto))
		b.done()
	}
}

func (b *Builder) addr(a netip.Addr) {
	if a.Is4() {
		x := a.As4()
		b.buf = append(append(b.buf, 4), x[:]...)
		return
	}
	x := a.As16()
	b.buf = append(append(b.buf, 6), x[:]...)
}

// Addr adds an address. One of IPv4 that is mapped into IPv6 becomes an IPv4 one, as it does in Zeek.
func (b *Builder) Addr(a netip.Addr) {
	if b.err == nil && (!a.IsValid() || a.Zone() != "") {
		b.fail(ErrRange, "address %v", a)
	}
	if b.head(Addr, true) {
		b.addr(a.Unmap())
		b.done()
	}
}

// Subnet adds a subnet.
func (b *Builder) Subnet(p netip.Prefix) {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if b.err == nil && !p.IsValid() {
		b.fail(ErrRange, "subnet %v", p)
	}
	if b.head(Subnet, true) {
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96
		}
		b.buf = append(b.buf, byte(bits))
		b.addr(p.Addr())
		b.done()
	}
}

// Set starts a set of n elements; the next n values are its elements, in any order.
func (b *Builder) Set(n int) { b.container(Set, n) }

// Vector starts a vector of n elements; the next n values are its elements, some of which may be unset.
func (b *Builder) Vector(n int) { b.container(Vector, n) }

func (b *Builder) container(t Type, n int) {
	if b.err == nil && n < 0 {
		b.fail(ErrSchema, "%d elements", n)
	}
	if !b.head(t, true) {
		return
	}
	b.u64(uint64(n))
	if n == 0 {
		b.done()
		return
	}
	b.elements = n // they are scalars, so that there is one level only
}

// Value adds a copy of a value that a Reader returned.
func (b *Builder) Value(v Value) {
	if !v.present {
		if b.head(v.typ, false) {
			b.done()
		}
		return
	}
	switch v.typ {
	case String, Enum, File, Func:
		if b.head(v.typ, true) {
			b.u32(uint32(len(v.body)))
			b.buf = append(b.buf, v.body...)
			b.done()
		}
	case Set, Vector:
		b.container(v.typ, v.Len())
		pos := 8
		for n := v.Len(); n > 0 && b.err == nil; n-- {
			var e Value
			e, pos = readValue(v.body, pos)
			b.Value(e)
		}
	default:
		if b.head(v.typ, true) {
			b.buf = append(b.buf, v.body...)
			b.done()
		}
	}
}
