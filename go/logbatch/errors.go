// SPDX-License-Identifier: BSD-3-Clause

package logbatch

import (
	"errors"
	"fmt"
)

// The kinds of fault a batch can have. Every error that comes from reading a batch matches exactly one of them with
// errors.Is, and is a *SyntaxError that says where the fault is.
var (
	// ErrTruncated reports a batch that ends inside a field descriptor or value.
	ErrTruncated = errors.New("logbatch: batch ends too early")
	// ErrTrailing reports bytes after the last value.
	ErrTrailing = errors.New("logbatch: bytes after the end of the batch")
	// ErrTooLarge reports a batch longer than MaxPayload.
	ErrTooLarge = errors.New("logbatch: batch too large")
	// ErrString reports a string of more than 2^31-1 bytes.
	ErrString = errors.New("logbatch: string length out of range")
	// ErrCount reports a number of fields, records or elements that the rest of the batch cannot hold.
	ErrCount = errors.New("logbatch: more elements than bytes left")
	// ErrBool reports a flag that is neither 0 nor 1.
	ErrBool = errors.New("logbatch: bad flag")
	// ErrType reports a type number that no log field or value can have, or a value of another type than its field.
	ErrType = errors.New("logbatch: bad type")
	// ErrPort reports a port whose protocol is above 3 or whose number is above 65535.
	ErrPort = errors.New("logbatch: bad port")
	// ErrFamily reports an address family that is neither 4 nor 6.
	ErrFamily = errors.New("logbatch: bad address family")
	// ErrSubnet reports a prefix length outside 96..128 for an IPv4 subnet or 0..128 for an IPv6 one.
	ErrSubnet = errors.New("logbatch: bad subnet")
	// ErrDepth reports sets and vectors nested more than MaxDepth deep.
	ErrDepth = errors.New("logbatch: nested too deeply")
)

// A SyntaxError is the error of every function that reads a batch.
type SyntaxError struct {
	// Offset is the position in the batch, in bytes from its start, of the value that could not be read.
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
