// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"fmt"
	"time"
)

// NetworkTimestamp is the id of the metadata that says at which network time an event was published; its value is a
// time. Zeek adds it if EventMetadata::add_network_timestamp is set. Ids up to 199 are Zeek's, others the user's.
const NetworkTimestamp = 1

// An Event is one event as published on a topic.
type Event struct {
	// Name is the full name of the event, "Module::name", or "name" for one of the global module. It is not empty.
	Name string
	// Args are the arguments, one for every parameter of the receiver's declaration. Zeek converts nothing: a
	// parameter of type int takes an int64 only, one of type count a uint64.
	Args []Value
	// Metadata may be nil. Zeek sends none by default, and leaves out the empty list; a list that is empty but not
	// nil is sent as such.
	Metadata []Metadata
}

// Metadata is one piece of metadata of an event. Ids may repeat; Zeek uses the first.
type Metadata struct {
	ID    uint64
	Value Value
}

// New returns the event of the given name. The arguments are converted by ToValue. The error matches ErrType, ErrRange
// or ErrDuplicate.
func New(name string, args ...any) (*Event, error) {
	e := &Event{Name: name, Args: make([]Value, len(args))}
	for i, a := range args {
		v, err := ToValue(a)
		if err != nil {
			return nil, fmt.Errorf("event %s, argument %d: %w", quote(name), i+1, err)
		}
		e.Args[i] = v
	}
	return e, nil
}

// Time returns the network timestamp of the event, if it has one.
func (e *Event) Time() (time.Time, bool) {
	for _, m := range e.Metadata {
		if m.ID == NetworkTimestamp {
			t, ok := m.Value.(time.Time)
			return t, ok
		}
	}
	return time.Time{}, false
}

// SetTime sets the network timestamp of the event.
func (e *Event) SetTime(t time.Time) {
	for i, m := range e.Metadata {
		if m.ID == NetworkTimestamp {
			e.Metadata[i].Value = t
			return
		}
	}
	e.Metadata = append(e.Metadata, Metadata{NetworkTimestamp, t})
}

// Encode returns the payload of e in the given format; see Append.
func Encode(f Format, e *Event) ([]byte, error) { return f.Append(nil, e) }

// Append appends the payload of e in format f to dst and returns the result. What it appends passes Validate, and is
// byte for byte what Zeek sends for the same event, sets and tables sorted. Numbers that only Zeek's own encoder gets
// wrong are the exception: reals closer to zero than 2^-1022 are sent as zero.
//
// Values may be of any type that ToValue takes. On error, which matches one of ErrType, ErrRange, ErrDuplicate or those
// of Validate, dst is returned as it was.
//
// In JSON, reals keep six decimals and times their milliseconds, cut off and not rounded. Infinities and NaN are
// written as Zeek writes them, and no Zeek can read them.
func (f Format) Append(dst []byte, e *Event) ([]byte, error) {
	if e.Name == "" {
		return dst, &SyntaxError{Err: ErrEnvelope, Detail: "event name is empty"}
	}
	var enc encoder
	switch f {
	case BrokerBinV1:
		enc = binEncoder{}
	case BrokerJSONV1:
		enc = jsonEncoder{}
	default:
		return dst, unknownFormat(f.String())
	}
	content := make(List, 2, 3)
	content[0], content[1] = e.Name, List(e.Args)
	if e.Metadata != nil {
		entries := make(List, len(e.Metadata))
		for i, m := range e.Metadata {
			entries[i] = List{m.ID, m.Value}
		}
		content = append(content, entries)
	}
	out, err := appendValue(enc, dst, List{uint64(1), uint64(1), content}, 1)
	if err == nil {
		err = f.Validate(out[len(dst):])
	}
	if err != nil {
		return dst, fmt.Errorf("event %s: %w", quote(e.Name), err)
	}
	return out, nil
}

// Decode returns the event in payload, which keeps no reference to the latter. It accepts what Validate accepts, except
// for sets with equal elements and tables with equal keys (ErrDuplicate) and, in JSON, addresses that are none
// (ErrData). It allocates in proportion to the length of payload, and nothing for a count that the payload does not
// bear out.
func Decode(f Format, payload []byte) (*Event, error) {
	if err := f.Validate(payload); err != nil {
		return nil, err
	}
	var root Value
	var err error
	if f == BrokerBinV1 {
		d := binDecoder{cursor{p: payload}}
		root, err = d.value()
	} else {
		d := jsonDecoder{p: payload}
		root, err = d.value()
	}
	if err != nil {
		return nil, err
	}
	// Validate has checked the types and lengths of all that is asserted here.
	content := root.(List)[2].(List)
	e := &Event{Name: content[0].(string), Args: content[1].(List)}
	if len(content) == 3 {
		entries := content[2].(List)
		e.Metadata = make([]Metadata, len(entries))
		for i, m := range entries {
			m := m.(List)
			e.Metadata[i] = Metadata{m[0].(uint64), m[1]}
		}
	}
	return e, nil
}

// Decode is the function Decode for format f.
func (f Format) Decode(payload []byte) (*Event, error) { return Decode(f, payload) }
