package jsonscan

import "encoding/base64"

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Pairs are the two characters for each 12 bits, the first one low: half
// as many look-ups as there are characters.
var base64Pairs = func() (pairs [1 << 12]uint16) {
	for i := range pairs {
		pairs[i] = uint16(base64Alphabet[i>>6]) | uint16(base64Alphabet[i&63])<<8
	}
	return pairs
}()

// AppendBase64 appends src in standard base64 with padding.
func AppendBase64(dst, src []byte) []byte {
	for len(src) >= 6 {
		v := uint64(src[0])<<40 | uint64(src[1])<<32 | uint64(src[2])<<24 | uint64(src[3])<<16 | uint64(src[4])<<8 | uint64(src[5])
		a, b := base64Pairs[v>>36&0xFFF], base64Pairs[v>>24&0xFFF]
		c, d := base64Pairs[v>>12&0xFFF], base64Pairs[v&0xFFF]
		dst = append(dst, byte(a), byte(a>>8), byte(b), byte(b>>8), byte(c), byte(c>>8), byte(d), byte(d>>8))
		src = src[6:]
	}
	return base64.StdEncoding.AppendEncode(dst, src)
}

// base64Values are the bits of a character at each of the four places it can
// stand in; badBase64 marks what is no character of base64.
var base64Values = func() (values [4][256]uint32) {
	for place := range values {
		for c := range values[place] {
			values[place][c] = badBase64
		}
		for i, c := range []byte(base64Alphabet) {
			values[place][c] = uint32(i) << (18 - 6*place)
		}
	}
	return values
}()

const badBase64 = 1 << 24

var strictBase64 = base64.StdEncoding.Strict()

// DecodeBase64 decodes b in place and returns the length. It takes only the one
// way to write something: padded, without line breaks, with unused bits zero.
func DecodeBase64(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b)%4 != 0 {
		return 0, false
	}
	v := &base64Values
	last := len(b) - 4
	for i := 0; i < last; i += 4 {
		q := b[i : i+4 : i+4]
		bits := v[0][q[0]] | v[1][q[1]] | v[2][q[2]] | v[3][q[3]]
		if bits >= badBase64 {
			return 0, false
		}
		out := b[n : n+3 : n+3] // never ahead of what has been read
		out[0], out[1], out[2] = byte(bits>>16), byte(bits>>8), byte(bits)
		n += 3
	}
	// Only the last four may be padded. The standard library skips line breaks
	// in silence, and then there is too little.
	quad := b[last:]
	want := 3
	for i := 3; i >= 2 && quad[i] == '='; i-- {
		want--
	}
	tail, err := strictBase64.Decode(b[n:], quad)
	return n + tail, err == nil && tail == want
}
