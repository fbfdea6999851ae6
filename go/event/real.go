// SPDX-License-Identifier: BSD-3-Clause

package event

import "math"

// The bits of the reals that broker-bin-v1 sends in its own way. The signs of the infinities are the other way round
// than in IEEE 754, and there is one NaN only (auxil/broker/caf, caf/detail/ieee_754.hpp).
const (
	wirePosInf uint64 = 0xfff0000000000000
	wireNegInf uint64 = 0x7ff0000000000000
	wireNaN    uint64 = 0xffffffffffffffff
)

const (
	mantissaBits = 52
	mantissaMask = 1<<mantissaBits - 1
	exponentMask = 0x7ff
	signBit      = 1 << 63
)

// realToWire returns the bits of f on the wire. Numbers closer to zero than 2^-1022 are sent as zero: Zeek sends them
// as garbage, since their exponent does not fit.
func realToWire(f float64) uint64 {
	bits := math.Float64bits(f)
	switch bits >> mantissaBits & exponentMask {
	case exponentMask:
		switch {
		case bits&mantissaMask != 0:
			return wireNaN
		case bits&signBit != 0:
			return wireNegInf
		}
		return wirePosInf
	case 0:
		return bits & signBit
	}
	return bits
}

// realFromWire returns the number that Zeek reads from the given bits. Those that it never sends it reads as numbers
// nevertheless: an exponent of all ones is an infinity, one of zero an exponent like any other.
func realFromWire(bits uint64) float64 {
	switch bits {
	case wirePosInf:
		return math.Inf(1)
	case wireNegInf:
		return math.Inf(-1)
	case wireNaN:
		return math.NaN()
	}
	switch exp := bits >> mantissaBits & exponentMask; {
	case exp == exponentMask:
		return math.Copysign(math.Inf(1), math.Float64frombits(bits&signBit|1))
	case exp == 0 && bits&mantissaMask != 0:
		f := math.Ldexp(1+float64(bits&mantissaMask)/(1<<mantissaBits), -1023)
		return math.Copysign(f, math.Float64frombits(bits))
	}
	return math.Float64frombits(bits)
}
