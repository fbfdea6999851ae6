// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"errors"
	"fmt"
)

// The kinds of fault a payload can have. Every error that comes from reading a payload matches exactly one of them
// with errors.Is, and is a *SyntaxError that says where the fault is.
var (
	// ErrUnknownFormat reports a format name that is neither "broker-bin-v1" nor "broker-json-v1".
	ErrUnknownFormat = errors.New("event: unknown format")
	// ErrTruncated reports a payload that ends inside a value.
	ErrTruncated = errors.New("event: payload ends too early")
	// ErrTrailing reports bytes after the last value.
	ErrTrailing = errors.New("event: bytes after the end of the event")
	// ErrTooLarge reports a payload longer than MaxPayload, or one with more values than its length allows
	// (see MaxValues).
	ErrTooLarge = errors.New("event: payload too large")
	// ErrTag reports a type tag (binary) or a type name (JSON) that does not exist.
	ErrTag = errors.New("event: unknown value type")
	// ErrVaruint reports a length or count that takes more than five bytes or exceeds 2^32-1.
	ErrVaruint = errors.New("event: length or count out of range")
	// ErrCount reports a container that claims more elements than the rest of the payload can hold.
	ErrCount = errors.New("event: more elements than bytes left")
	// ErrDepth reports values nested more than MaxDepth deep.
	ErrDepth = errors.New("event: nested too deeply")
	// ErrEnvelope reports a payload that is well-formed but not an event: wrong version, kind, list length, a missing
	// name, arguments that are not a list, or metadata that are not pairs.
	ErrEnvelope = errors.New("event: not an event")
	// ErrPort reports a port whose protocol is above 3, or which is not written as "number/protocol".
	ErrPort = errors.New("event: bad port")
	// ErrSubnet reports a prefix length outside 96..128 for an IPv4 subnet or 0..128 for an IPv6 one.
	ErrSubnet = errors.New("event: bad subnet")
	// ErrOpaque reports the serialised state of one of Zeek's opaque types that the type's own code would trust.
	ErrOpaque = errors.New("event: unsafe opaque value")
	// ErrJSON reports text that is not JSON.
	ErrJSON = errors.New("event: malformed JSON")
	// ErrDuplicate reports equal elements in a set or equal keys in a table, for which Zeek refuses the whole event.
	ErrDuplicate = errors.New("event: duplicate in a set or table")
	// ErrData reports a JSON value whose "data" does not fit its "@data-type", or an object with other members than
	// those of a value.
	ErrData = errors.New("event: data does not fit its type")
)

// The kinds of fault in the conversion between Go values and those of an event.
var (
	// ErrType reports a Go value that has no counterpart in an event, or a value that cannot be put into the given Go
	// variable. As in Zeek nothing is converted from one type to another.
	ErrType = errors.New("event: type mismatch")
	// ErrRange reports a number that does not fit the Go variable, a time before 1678 or after 2261, an address that
	// is invalid or has a zone, a port of an unknown protocol.
	ErrRange = errors.New("event: value out of range")
)

// A SyntaxError is the error of every function that reads a payload.
type SyntaxError struct {
	// Offset is the position in the payload, in bytes from its start, of the value that could not be read.
	Offset int
	// Err is one of the Err variables of this package.
	Err error
	// Detail says what was found, for people; it may be empty.
	Detail string
}

// Error describes the fault, what was found, and where.
func (e *SyntaxError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("%v at offset %d", e.Err, e.Offset)
	}
	return fmt.Sprintf("%v at offset %d: %s", e.Err, e.Offset, e.Detail)
}

// Unwrap returns Err, so that errors.Is sees the kind of fault.
func (e *SyntaxError) Unwrap() error { return e.Err }
