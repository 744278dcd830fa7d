package image

import (
	"image/color"
	"strconv"
	"strings"

	"golang.org/x/image/colornames"

	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

// ParseColor reads #RGB, #RGBA, #RRGGBB, #RRGGBBAA, a CSS name, and rgb(…) and rgba(…) of integers: red, green, blue and alpha.
func ParseColor(v any) ([4]byte, error) { return parseColor(v) }

// parseColor reads #RGB, #RGBA, #RRGGBB, #RRGGBBAA, a CSS name, and rgb(…) and rgba(…) of integers.
func parseColor(v any) ([4]byte, error) {
	var out [4]byte
	text, ok := v.(string)
	if !ok {
		return out, nodes.Errorf("TypeError", "reading a color: it is a %s, want a text", pyjson.TypeName(v))
	}
	lower := strings.ToLower(text)
	if c, ok := colornames.Map[lower]; ok {
		return rgba(c), nil
	}
	if lower == "rebeccapurple" {
		return [4]byte{0x66, 0x33, 0x99, 255}, nil
	}
	if digits, ok := strings.CutPrefix(lower, "#"); ok {
		if out, ok := hexColorOf(digits); ok {
			return out, nil
		}
	}
	if out, ok := rgbFunction(lower); ok {
		return out, nil
	}
	return out, nodes.Errorf("ValueError", "reading a color: %q is none; want #RRGGBB, a CSS name or rgb(r, g, b)", text)
}

func rgba(c color.RGBA) [4]byte { return [4]byte{c.R, c.G, c.B, 255} }

// hexColorOf reads 3, 4, 6 or 8 digits.
func hexColorOf(digits string) (out [4]byte, ok bool) {
	n := len(digits)
	if n == 3 || n == 4 {
		var long strings.Builder
		for i := range n {
			long.WriteString(digits[i:i+1] + digits[i:i+1])
		}
		digits = long.String()
	}
	if n = len(digits); n != 6 && n != 8 {
		return out, false
	}
	out[3] = 255
	for i := range n / 2 {
		high, low := hexDigit(digits[2*i]), hexDigit(digits[2*i+1])
		if high < 0 || low < 0 {
			return out, false
		}
		out[i] = byte(16*high + low)
	}
	return out, true
}

// rgbFunction reads rgb(r, g, b) and rgba(r, g, b, a), each 0 to 255.
func rgbFunction(text string) (out [4]byte, ok bool) {
	name, inner, found := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	parts := strings.Split(inner, ",")
	if !found || !closed || name != "rgb" && name != "rgba" || len(parts) != len(name) {
		return out, false
	}
	out[3] = 255
	for i, part := range parts {
		n, err := strconv.ParseUint(pystr.Strip(part), 10, 32)
		if err != nil {
			return out, false
		}
		out[i] = byte(min(n, 255))
	}
	return out, true
}
