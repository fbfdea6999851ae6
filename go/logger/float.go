// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// All of this file runs on the goroutines of the writers.

var pow10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// appendFixed appends v with 6 decimals, rounded from its exact value: how Zeek's ASCII writer prints times and
// intervals.
func appendFixed(dst []byte, v float64) []byte {
	b := math.Float64bits(v)
	exp, frac := int(b>>52&0x7ff), b&(1<<52-1)
	if exp >= 1023+53 {
		return appendFixedSlow(dst, v)
	}
	if b>>63 != 0 {
		dst = append(dst, '-')
	}
	if exp < 1023-60 { // less than half of the last decimal, by far
		return append(dst, "0.000000"...)
	}
	// v is m / 2^shift.
	m := frac | 1<<52
	shift := uint(1023 + 52 - exp)
	var whole uint64
	if shift < 64 {
		whole = m >> shift
		m &= 1<<shift - 1
	}
	micros := roundShift(m, 1e6, shift)
	if micros == 1e6 {
		whole, micros = whole+1, 0
	}
	dst = strconv.AppendUint(dst, whole, 10)
	n := len(dst)
	dst = append(dst, ".000000"...)
	for i := n + 6; micros > 0; i-- {
		dst[i] = '0' + byte(micros%10)
		micros /= 10
	}
	return dst
}

// roundShift returns a*b / 2^shift, rounded to the nearest integer, or to the even one of two. shift is 0 to 127, the
// result less than 2^64.
func roundShift(a, b uint64, shift uint) uint64 {
	hi, lo := bits.Mul64(a, b)
	var q uint64
	var above, half bool // whether the rest is more than a half, exactly a half
	switch {
	case shift == 0:
		return lo
	case shift < 64:
		q = lo>>shift | hi<<(64-shift)
		rest, middle := lo&(1<<shift-1), uint64(1)<<(shift-1)
		above, half = rest > middle, rest == middle
	case shift == 64:
		q = hi
		above, half = lo > 1<<63, lo == 1<<63
	default:
		q = hi >> (shift - 64)
		rest, middle := hi&(1<<(shift-64)-1), uint64(1)<<(shift-65)
		above, half = rest > middle || rest == middle && lo > 0, rest == middle && lo == 0
	}
	if above || half && q&1 == 1 {
		q++
	}
	return q
}

// appendFixedSlow is for the values that appendFixed leaves.
func appendFixedSlow(dst []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-inf"...)
	case v != v && math.Signbit(v):
		return append(dst, "-nan"...)
	case v != v:
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, v, 'f', 6, 64)
}

// appendDouble appends v as Zeek's ASCII writer prints a double: up to 6 decimals, without trailing zeros, and ".0" for
// what is an integer within 1e-9.
func appendDouble(dst []byte, v float64) []byte {
	switch {
	case v != v:
		return append(dst, "nan"...)
	case v == 0:
		return append(dst, "0.0"...) // -0 too
	}
	dst = appendFixed(dst, v)
	if math.IsInf(v, 0) {
		return dst
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	if math.Abs(v-math.RoundToEven(v)) < 1e-9 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendJSONDouble appends v as Zeek's JSON writer does, or null if it is not finite. The digits are those of the
// Grisu2 algorithm, which in a few cases of a thousand are not the shortest that identify the double: strconv would
// give others.
func appendJSONDouble(dst []byte, v float64) []byte {
	if math.IsInf(v, 0) || v != v {
		return append(dst, "null"...)
	}
	if math.Signbit(v) {
		dst = append(dst, '-')
		v = -v
	}
	if v == 0 {
		return append(dst, "0.0"...)
	}
	var buf [20]byte
	digits, k := grisu2(buf[:0], v)
	point := len(digits) + k // where the decimal point is, in digits
	switch {
	case k >= 0 && point <= 21:
		dst = append(dst, digits...)
		for ; k > 0; k-- {
			dst = append(dst, '0')
		}
		return append(dst, ".0"...)
	case point > 0 && point <= 21:
		dst = append(dst, digits[:point]...)
		dst = append(dst, '.')
		return append(dst, digits[point:]...)
	case point > -6 && point <= 0:
		dst = append(dst, "0.00000"[:2-point]...)
		return append(dst, digits...)
	case point < -324:
		return append(dst, "0.0"...)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, int64(point-1), 10)
}

// floating is f * 2^e.
type floating struct {
	f uint64
	e int
}

func (a floating) times(b floating) floating {
	hi, lo := bits.Mul64(a.f, b.f)
	return floating{hi + lo>>63, a.e + b.e + 64}
}

func (a floating) normalized() floating {
	n := bits.LeadingZeros64(a.f)
	return floating{a.f << n, a.e - n}
}

// cached has 10^-348, 10^-340, ..., 10^340, rounded to 64 bits.
const cachedMin, cachedStep = -348, 8

var cached = func() (t [87]floating) {
	for i := range t {
		exp := cachedMin + cachedStep*i
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
		v := new(big.Float).SetPrec(2000).SetInt(p)
		if exp < 0 {
			v.Quo(new(big.Float).SetPrec(2000).SetInt64(1), v)
		}
		v.SetPrec(64)
		mant := new(big.Float)
		e := v.MantExp(mant) // v is mant * 2^e, 0.5 <= mant < 1
		f, _ := mant.SetMantExp(mant, 64).Uint64()
		t[i] = floating{f, e - 64}
	}
	return t
}()

// grisu2 appends digits and returns them with the exponent k such that digits * 10^k is read back as v, which is
// positive and finite. The algorithm is that of Florian Loitsch, "Printing Floating-Point Numbers Quickly and
// Accurately with Integers", 2010, figure 7, with the rounding towards v of his reference program.
func grisu2(digits []byte, v float64) ([]byte, int) {
	b := math.Float64bits(v)
	exp, f := int(b>>52&0x7ff), b&(1<<52-1)
	w := floating{f, -1074}
	if exp != 0 {
		w = floating{f | 1<<52, exp - 1075}
	}

	// The middles to the next doubles.
	upper := floating{w.f<<1 + 1, w.e - 1}.normalized()
	lower := floating{w.f<<1 - 1, w.e - 1}
	if w.f == 1<<52 {
		lower = floating{w.f<<2 - 1, w.e - 2}
	}
	lower.f <<= lower.e - upper.e
	lower.e = upper.e

	// A power of ten that brings them to exponents from -60 to -32.
	dk := float64(-61-upper.e)*0.30102999566398114 + 347
	i := int(math.Ceil(dk))>>3 + 1
	k := -(cachedMin + cachedStep*i)
	c := cached[i]
	value, top, bottom := w.normalized().times(c), upper.times(c), lower.times(c)
	top.f--
	bottom.f++
	delta := top.f - bottom.f
	distance := top.f - value.f

	shift := uint(-top.e)
	one := uint64(1) << shift
	whole, rest := top.f>>shift, top.f&(one-1)
	kappa := 0
	for kappa < 9 && whole >= pow10[kappa] {
		kappa++
	}
	for kappa > 0 {
		kappa--
		d := whole / pow10[kappa]
		whole %= pow10[kappa]
		if d != 0 || len(digits) > 0 {
			digits = append(digits, '0'+byte(d))
		}
		if left := whole<<shift + rest; left <= delta {
			return towards(digits, delta, left, pow10[kappa]<<shift, distance), k + kappa
		}
	}
	for scale := uint64(1); ; {
		rest *= 10
		delta *= 10
		scale *= 10
		d := rest >> shift
		if d != 0 || len(digits) > 0 {
			digits = append(digits, '0'+byte(d))
		}
		rest &= one - 1
		kappa--
		if rest < delta {
			if kappa <= -len(pow10) {
				scale = 0
			}
			return towards(digits, delta, rest, one, distance*scale), k + kappa
		}
	}
}

// towards lowers the last digit, worth unit, while that brings the number nearer to the value that it stands for.
func towards(digits []byte, delta, rest, unit, distance uint64) []byte {
	for rest < distance && delta-rest >= unit && (rest+unit < distance || distance-rest > rest+unit-distance) {
		digits[len(digits)-1]--
		rest += unit
	}
	return digits
}
