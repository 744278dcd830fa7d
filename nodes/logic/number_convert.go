package logic

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&NumberConvert{})
}

// NumberConvert turns a value into a float and an integer.
type NumberConvert struct {
	Value any `in:"value" type:"INT,FLOAT,STRING,BOOLEAN" display_name:"value"`
}

// Spec implements nodes.Node.
func (*NumberConvert) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ComfyNumberConvert", DisplayName: "Convert Number", Category: "utilities",
		Module: "comfy_extras.nodes_number_convert", V3: true,
		Outputs:       nodes.Outputs("FLOAT", "INT"),
		SearchAliases: []string{"int to float", "float to int", "number convert", "int2float", "float2int", "cast", "parse number", "string to number", "bool to int"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Texts are read as Python's float and int read them; integers keep all their digits.
func (n *NumberConvert) Run(*nodes.Context) (nodes.Result, error) {
	switch v := n.Value.(type) {
	case bool:
		if v {
			return nodes.Out(1.0, int64(1)), nil
		}
		return nodes.Out(0.0, int64(0)), nil
	case int64, *big.Int, int:
		whole, ok := new(big.Int).SetString(fmt.Sprint(v), 10)
		if !ok {
			break
		}
		f, _ := new(big.Float).SetInt(whole).Float64()
		if math.IsInf(f, 0) {
			return nodes.Result{}, nodes.Errorf("OverflowError", "converting a number: the integer is too large for a float")
		}
		return nodes.Out(f, plainInt(whole)), nil
	case float64:
		if math.IsInf(v, 0) {
			return nodes.Result{}, nodes.Errorf("OverflowError", "converting a number: infinity is no integer")
		}
		if math.IsNaN(v) {
			return nodes.Result{}, nodes.Errorf("ValueError", "converting a number: NaN is no integer")
		}
		return nodes.Out(v, truncated(v)), nil
	case string:
		return numberOf(v)
	}
	return nodes.Result{}, nodes.Errorf("TypeError", "converting a number: a %s is neither number, text nor boolean", pyjson.TypeName(n.Value))
}

// plainInt returns an integer as pyjson has it.
func plainInt(n *big.Int) any {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func truncated(v float64) any {
	n, _ := big.NewFloat(math.Trunc(v)).Int(nil)
	return plainInt(n)
}

// maxDigits is the number of digits that Python accepts in an integer.
const maxDigits = 4300

var (
	floatText = regexp.MustCompile(`^[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)([eE][+-]?\d+(_\d+)*)?$`)
	intText   = regexp.MustCompile(`^[+-]?\d+(_\d+)*$`)
)

// numberOf reads a text.
func numberOf(s string) (nodes.Result, error) {
	text := asciiDigits(pystr.Strip(s))
	if text == "" {
		return nodes.Result{}, nodes.Errorf("ValueError", "converting a number: the text is empty")
	}
	plain := strings.ReplaceAll(text, "_", "")
	f, err := strconv.ParseFloat(plain, 64)
	if errors.Is(err, strconv.ErrRange) && math.IsInf(f, 0) || err == nil && (math.IsInf(f, 0) || math.IsNaN(f)) {
		return nodes.Result{}, nodes.Errorf("ValueError", "converting a number: %.100q is not finite", s)
	}
	if err != nil || !floatText.MatchString(text) {
		return nodes.Result{}, nodes.Errorf("ValueError", "converting a number: %.100q is no number", s)
	}
	if intText.MatchString(text) && len(strings.TrimLeft(plain, "+-")) <= maxDigits {
		if whole, ok := new(big.Int).SetString(plain, 10); ok {
			return nodes.Out(f, plainInt(whole)), nil
		}
	}
	return nodes.Out(f, truncated(f)), nil
}

// asciiDigits replaces the decimal digits of other scripts, which Python reads as well.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 || !unicode.IsDigit(r) {
			return r
		}
		// The digits of a script follow each other from 0 to 9.
		for _, rng := range unicode.Nd.R16 {
			if rune(rng.Lo) <= r && r <= rune(rng.Hi) {
				return '0' + (r-rune(rng.Lo))%10
			}
		}
		for _, rng := range unicode.Nd.R32 {
			if rune(rng.Lo) <= r && r <= rune(rng.Hi) {
				return '0' + (r-rune(rng.Lo))%10
			}
		}
		return r
	}, s)
}
