// SPDX-License-Identifier: BSD-3-Clause

package logbatch

import "strconv"

// Format is the name of the format, as it appears in the third part of a message.
const Format = "zeek-bin-serializer"

// A Type is the number of a Zeek type, as sent with every field and value (Zeek's src/Type.h).
type Type int32

// The types a log field or value can have.
const (
	Bool     Type = 1
	Int      Type = 2  // 64 bits with sign
	Count    Type = 3  // 64 bits without sign
	Double   Type = 4  // IEEE 754 binary64
	Time     Type = 5  // seconds since 1970 as a double
	Interval Type = 6  // seconds as a double
	String   Type = 7  // any bytes, not necessarily UTF-8
	Enum     Type = 9  // the full name, as "Conn::LOG"
	Port     Type = 10 // number and protocol
	Addr     Type = 11
	Subnet   Type = 12
	Set      Type = 14
	Func     Type = 17 // the function's description
	File     Type = 18 // the file's name
	Vector   Type = 19
)

// noType is the sub-type of fields that are neither set nor vector.
const noType Type = 0

// lastType is the highest number Zeek gives a type.
const lastType = 22

// legalTypes has a bit for every type a field or value can have, scalarTypes for every type but set and vector.
const (
	scalarTypes = 1<<Bool | 1<<Int | 1<<Count | 1<<Double | 1<<Time | 1<<Interval | 1<<String | 1<<Enum | 1<<Port |
		1<<Addr | 1<<Subnet | 1<<Func | 1<<File
	legalTypes = scalarTypes | 1<<Set | 1<<Vector
)

func (t Type) legal() bool  { return uint32(t) <= lastType && legalTypes>>uint32(t)&1 != 0 }
func (t Type) scalar() bool { return uint32(t) <= lastType && scalarTypes>>uint32(t)&1 != 0 }

var typeNames = [...]string{
	Bool: "bool", Int: "int", Count: "count", Double: "double", Time: "time", Interval: "interval", String: "string",
	Enum: "enum", Port: "port", Addr: "addr", Subnet: "subnet", Set: "set", Func: "func", File: "file",
	Vector: "vector",
}

// String returns the name Zeek's ASCII writer uses in its "#types" line.
func (t Type) String() string {
	if uint32(t) < uint32(len(typeNames)) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}
