// SPDX-License-Identifier: BSD-3-Clause

package event

import "math"

// Bounds that every reader of this package keeps. They are far above what Zeek sends and low enough that a Zeek
// process survives any payload within them.
const (
	// MaxDepth is the deepest nesting of values, counted from the outermost list of the event, which is at depth 1.
	// Zeek's decoder, its conversion to script values and their destructors all recurse once per level without a
	// limit of their own; for JSON its parser stops at 128 levels of objects and arrays, which are 64 of values.
	MaxDepth = 64

	// MaxPayload is the longest payload in bytes. Zeek keeps string lengths in an int in several places.
	MaxPayload = math.MaxInt32

	// freeValues is the number of values a payload may hold whatever its length; see MaxValues.
	freeValues = 1 << 18
)

// MaxValues returns how many values a payload of size bytes may hold: 262144, and one more for every two bytes.
//
// A value of one byte (an unset record field) costs a Zeek process about 100 bytes while it decodes: a list node in
// Broker's buffer and a copy in the tree that is converted to script values. The limit keeps what Zeek allocates
// under 25 MB plus 50 times the payload. All other values take two bytes or more, so that only an event of very many
// unset fields exceeds it.
func MaxValues(size int) int { return freeValues + size/2 }

// A Format is one of the event formats Zeek knows.
type Format uint8

const (
	// BrokerBinV1 is the binary format, "broker-bin-v1".
	BrokerBinV1 Format = iota + 1
	// BrokerJSONV1 is the JSON format, "broker-json-v1".
	BrokerJSONV1
)

// The names of the formats, as they appear in the third part of a message.
const (
	nameBrokerBinV1  = "broker-bin-v1"
	nameBrokerJSONV1 = "broker-json-v1"
)

// String returns the name that is sent on the wire, or "unknown".
func (f Format) String() string {
	switch f {
	case BrokerBinV1:
		return nameBrokerBinV1
	case BrokerJSONV1:
		return nameBrokerJSONV1
	}
	return "unknown"
}

// ParseFormat returns the format of the given name, as found in the third part of a message. The comparison is
// exact, as Zeek's is. It does not allocate. For any other name the error matches ErrUnknownFormat.
func ParseFormat[S ~string | ~[]byte](name S) (Format, error) {
	switch string(name) {
	case nameBrokerBinV1:
		return BrokerBinV1, nil
	case nameBrokerJSONV1:
		return BrokerJSONV1, nil
	}
	return 0, unknownFormat(string(name))
}

// Validate checks that payload is one complete event in format f that can be given to a Zeek process without
// harming it. It returns nil, or a *SyntaxError.
//
// It allocates nothing unless it fails, keeps no reference to payload, and takes time linear in its length. The
// bytes must not change between the check and their use.
//
// Zeek rejects some payloads that pass, and does so cleanly: an unknown event, arguments of the wrong type or number,
// duplicates in a set. Three things depend on types that only the receiving process knows and cannot be seen here:
// a pattern whose text is costly to compile, a function whose captures do not fit it, and an event that has no script
// function, see ValidateName.
func (f Format) Validate(payload []byte) error {
	_, err := ValidateName(f.String(), payload)
	return err
}

// Validate is ParseFormat followed by Format.Validate. It allocates nothing unless it fails.
func Validate[S ~string | ~[]byte](format S, payload []byte) error {
	_, err := ValidateName(format, payload)
	return err
}

// ValidateName is Validate and also returns the event's name, which is part of payload unless that spells it with
// escapes.
func ValidateName[S ~string | ~[]byte](format S, payload []byte) (name []byte, err error) {
	switch string(format) {
	case nameBrokerBinV1:
		return validateBin(payload)
	case nameBrokerJSONV1:
		return validateJSON(payload)
	}
	return nil, unknownFormat(string(format))
}

//go:noinline
func unknownFormat(name string) error {
	if len(name) > 64 {
		name = name[:64]
	}
	return &SyntaxError{Err: ErrUnknownFormat, Detail: quote(name)}
}
