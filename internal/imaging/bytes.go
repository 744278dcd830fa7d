package imaging

// ToBytes turns values in 0…1 into bytes as upstream's nodes do: times 255 in float32, clipped, fraction cut off.
// NaN becomes 0.
func ToBytes(values []float32) []byte {
	out := make([]byte, len(values))
	parallel(len(values), 4, func(from, to int) {
		setBytes(out[from:to], values[from:to])
	})
	return out
}

// setBytes is ToBytes into bytes.
func setBytes(to []byte, values []float32) {
	for i := toBytes(to, values); i < len(to); i++ {
		to[i] = toByte(values[i])
	}
}

func toByte(v float32) byte {
	v *= 255
	switch {
	case v >= 255:
		return 255
	case v > 0:
		return byte(v)
	}
	return 0
}

// byteValues are the values of bytes: a division for each pixel takes longer.
var byteValues = func() (values [256]float32) {
	for i := range values {
		values[i] = float32(i) / 255
	}
	return values
}()

// FromBytes turns bytes into values in 0…1: divided by 255 in float32.
func FromBytes(to []float32, pix []byte) {
	parallel(len(pix), 4, func(from, end int) { setValues(to[from:end], pix[from:end]) })
}

// setValues is FromBytes on one goroutine.
func setValues(to []float32, pix []byte) {
	for i := fromBytes(to, pix); i < len(pix); i++ {
		to[i] = byteValues[pix[i]]
	}
}

// ToDeepBytes turns values in 0…1 into 16-bit samples, the higher byte first: times 65535 in float32, clipped, fraction cut
// off. NaN becomes 0.
func ToDeepBytes(values []float32) []byte {
	const most = 65535
	out := make([]byte, 2*len(values))
	parallel(len(values), 4, func(from, to int) {
		for i := from; i < to; i++ {
			var d uint16
			switch v := values[i] * most; {
			case v >= most:
				d = most
			case v > 0:
				d = uint16(v)
			}
			out[2*i], out[2*i+1] = byte(d>>8), byte(d)
		}
	})
	return out
}
