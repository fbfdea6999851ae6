// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// binDecoder builds the tree of a payload that has passed validateBin.
type binDecoder struct{ cursor }

func (d *binDecoder) u64() uint64 {
	d.pos += 8
	return binary.BigEndian.Uint64(d.p[d.pos-8:])
}

func (d *binDecoder) addr() netip.Addr {
	d.pos += 16
	return netip.AddrFrom16([16]byte(d.p[d.pos-16 : d.pos])).Unmap()
}

func (d *binDecoder) text() string {
	n := d.varuint()
	d.pos += n
	return string(d.p[d.pos-n : d.pos])
}

func (d *binDecoder) value() (Value, error) {
	start := d.pos
	tag := d.p[d.pos]
	d.pos++
	switch tag {
	case tagBool:
		d.pos++
		return d.p[d.pos-1] != 0, nil
	case tagCount:
		return d.u64(), nil
	case tagInt:
		return int64(d.u64()), nil
	case tagReal:
		return realFromWire(d.u64()), nil
	case tagString:
		return d.text(), nil
	case tagAddress:
		return d.addr(), nil
	case tagSubnet:
		a := d.addr()
		bits := int(d.p[d.pos])
		d.pos++
		if a.Is4() {
			bits -= 96
		}
		return netip.PrefixFrom(a, bits), nil
	case tagPort:
		d.pos += 3
		return Port{binary.BigEndian.Uint16(d.p[d.pos-3:]), Protocol(d.p[d.pos-1])}, nil
	case tagTime:
		return time.Unix(0, int64(d.u64())).UTC(), nil
	case tagInterval:
		return time.Duration(d.u64()), nil
	case tagEnum:
		return Enum(d.text()), nil
	case tagSet, tagList:
		xs := make([]Value, d.varuint())
		for i := range xs {
			var err error
			if xs[i], err = d.value(); err != nil {
				return nil, err
			}
		}
		if tag == tagList {
			return List(xs), nil
		}
		return Set(xs), checkDistinct(start, xs)
	case tagTable:
		t := make(Table, d.varuint())
		for i := range t {
			var err error
			if t[i].Key, err = d.value(); err != nil {
				return nil, err
			}
			if t[i].Value, err = d.value(); err != nil {
				return nil, err
			}
		}
		return t, checkDistinctKeys(start, t)
	}
	return nil, nil // none
}

// checkDistinct reports equal elements, for which Zeek refuses a whole event. Zeek sends sets sorted, so that one look
// at neighbours mostly settles it.
func checkDistinct(off int, xs []Value) error {
	for sorted := xs; ; {
		inOrder := true
		for i := 1; i < len(sorted); i++ {
			switch c := Compare(sorted[i-1], sorted[i]); {
			case c == 0:
				return &SyntaxError{Offset: off, Err: ErrDuplicate, Detail: "equal elements of a set or keys of a table"}
			case c > 0:
				inOrder = false
			}
		}
		if inOrder {
			return nil
		}
		sorted = slices.Clone(xs)
		slices.SortFunc(sorted, Compare)
	}
}

func checkDistinctKeys(off int, t Table) error {
	keys := make([]Value, len(t))
	for i := range t {
		keys[i] = t[i].Key
	}
	return checkDistinct(off, keys)
}

// jsonDecoder builds the tree of a payload that has passed validateJSON.
type jsonDecoder struct {
	p   []byte
	pos int
}

// peek skips white space and the punctuation that needs no decision, and returns the next byte.
func (d *jsonDecoder) peek() byte {
	for {
		switch c := d.p[d.pos]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			d.pos++
		default:
			return c
		}
	}
}

// quoted returns the inside of the string at the position.
func (d *jsonDecoder) quoted() []byte {
	d.peek()
	start := d.pos + 1
	for d.pos++; d.p[d.pos] != '"'; d.pos++ {
		if d.p[d.pos] == '\\' {
			d.pos++
		}
	}
	d.pos++
	return d.p[start : d.pos-1]
}

// skip passes over the JSON value at the position.
func (d *jsonDecoder) skip() {
	depth := 0
	for {
		switch d.peek() {
		case '"':
			d.quoted()
		case '[', '{':
			d.pos++
			depth++
			continue
		case ']', '}':
			d.pos++
			depth--
		default:
			d.word()
		}
		if depth == 0 {
			return
		}
	}
}

// word returns the number or name at the position.
func (d *jsonDecoder) word() []byte {
	d.peek()
	start := d.pos
	for d.pos < len(d.p) {
		switch d.p[d.pos] {
		case ' ', '\t', '\n', '\r', ',', ':', ']', '}', '"', '[', '{':
			return d.p[start:d.pos]
		}
		d.pos++
	}
	return d.p[start:d.pos]
}

// value reads the object of a value.
func (d *jsonDecoder) value() (Value, error) {
	d.peek()
	start := d.pos
	d.pos++
	typ := dataType(numTags)
	var v Value
	var err error
	data := -1
	for d.peek() != '}' {
		switch string(d.quoted()) {
		case "@data-type":
			typ = dataTypeOf(d.quoted())
		case "data":
			if typ == numTags {
				d.peek()
				data = d.pos
				d.skip()
				break
			}
			if v, err = d.data(start, typ); err != nil {
				return nil, err
			}
		default: // topic and type
			d.skip()
		}
	}
	d.pos++
	if data >= 0 {
		end := d.pos
		d.pos = data
		v, err = d.data(start, typ)
		d.pos = end
	}
	return v, err
}

func (d *jsonDecoder) text() string {
	q := d.quoted()
	for i, c := range q {
		if c == '\\' {
			return string(unescape(append(make([]byte, 0, len(q)), q[:i]...), q[i:]))
		}
	}
	return string(q)
}

// data reads the data of a value of the given type; start is where the value begins.
func (d *jsonDecoder) data(start int, typ dataType) (Value, error) {
	switch typ {
	case tagBool:
		return d.word()[0] == 't', nil
	case tagCount:
		v, _, _ := digits(d.word(), 1<<64-1)
		return v, nil
	case tagInt:
		v, _, _ := integer(d.word())
		return v, nil
	case tagReal:
		w := d.word()
		return parseReal(string(w)), nil
	case tagString:
		return d.text(), nil
	case tagEnum:
		return Enum(d.text()), nil
	case tagAddress:
		q := string(d.quoted())
		a, err := netip.ParseAddr(q)
		if err != nil {
			return nil, &SyntaxError{Offset: start, Err: ErrData, Detail: "address " + quote(q)}
		}
		return a.Unmap(), nil
	case tagSubnet:
		q := string(d.quoted())
		p, err := netip.ParsePrefix(q)
		if err == nil {
			p, err = canonicalPrefix(p)
		}
		if err != nil {
			return nil, &SyntaxError{Offset: start, Err: ErrData, Detail: "subnet " + quote(q)}
		}
		return p, nil
	case tagPort:
		n, proto, _ := parsePort(d.quoted())
		return Port{n, Protocol(proto)}, nil
	case tagTime:
		ns, _ := parseTime(d.quoted())
		return time.Unix(0, ns).UTC(), nil
	case tagInterval:
		ns, _ := parseInterval(d.quoted())
		return time.Duration(ns), nil
	case tagSet, tagList:
		xs := []Value{}
		d.peek()
		for d.pos++; d.peek() != ']'; {
			x, err := d.value()
			if err != nil {
				return nil, err
			}
			xs = append(xs, x)
		}
		d.pos++
		if typ == tagList {
			return List(xs), nil
		}
		return Set(xs), checkDistinct(start, xs)
	case tagTable:
		t := Table{}
		d.peek()
		for d.pos++; d.peek() != ']'; {
			var p Pair
			for d.pos++; d.peek() != '}'; {
				dst := &p.Key
				if string(d.quoted()) == "value" {
					dst = &p.Value
				}
				var err error
				if *dst, err = d.value(); err != nil {
					return nil, err
				}
			}
			d.pos++
			t = append(t, p)
		}
		d.pos++
		return t, checkDistinctKeys(start, t)
	}
	d.skip() // none, whose data says nothing
	return nil, nil
}
