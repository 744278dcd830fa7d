package conformance

import (
	"math"
	"regexp"
	"strings"

	"comfygo/internal/pyjson"
)

const uuidPattern = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

var (
	uuidText  = regexp.MustCompile("^" + uuidPattern + "$")
	hexText   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	isoText   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$`)
	innerMark = regexp.MustCompile(`<<[a-z]+>>`)
)

// isToken reports whether a recorded text is a placeholder for a value that varies.
func isToken(text string) bool {
	return strings.HasPrefix(text, "<<") && strings.HasSuffix(text, ">>")
}

// tokenFits reports whether a value matches a placeholder.
func tokenFits(token string, v any) bool {
	kind := token[2 : len(token)-2]
	name, rest, _ := strings.Cut(kind, ":")
	text, isText := v.(string)
	switch name {
	case "opt":
		return v == nil || tokenFits("<<"+rest+">>", v)
	case "re":
		re, err := regexp.Compile("(?s)" + rest)
		return err == nil && isText && re.MatchString(text)
	case "prefix":
		return isText && strings.HasPrefix(text, rest)
	case "uuid":
		return isText && uuidText.MatchString(text)
	case "hex32":
		return isText && hexText.MatchString(text)
	case "iso":
		return isText && isoText.MatchString(text)
	case "etag":
		return isText && len(text) > 2
	case "httpdate":
		return isText && strings.HasSuffix(text, "GMT")
	case "str":
		return isText
	}
	return kindFits(name, v)
}

func kindFits(name string, v any) bool {
	f, isNumber := float(v)
	_, isFloat := v.(float64)
	list, isList := v.([]any)
	switch name {
	case "any":
		return true
	case "int":
		return isNumber && !isFloat
	case "num":
		return isNumber
	case "ms":
		return isNumber && !isFloat && f > 1e12 && f < 1e13
	case "nan":
		return isFloat && math.IsNaN(f)
	case "inf":
		return math.IsInf(f, 1)
	case "-inf":
		return math.IsInf(f, -1)
	case "bool":
		_, ok := v.(bool)
		return ok
	case "object":
		_, ok := v.(*pyjson.Object)
		return ok
	case "list":
		return isList
	case "traceback":
		for _, e := range list {
			if _, ok := e.(string); !ok {
				return false
			}
		}
		return isList
	}
	return false
}

// fitsPartly compares texts that hold tokens.
func fitsPartly(want, got string) bool {
	if !strings.Contains(want, "<<") || !strings.Contains(want, ">>") {
		return false
	}
	pattern, at := "(?s)^", 0
	for _, m := range innerMark.FindAllStringIndex(want, -1) {
		pattern += regexp.QuoteMeta(want[at:m[0]])
		switch want[m[0]+2 : m[1]-2] {
		case "uuid":
			pattern += uuidPattern
		case "int":
			pattern += `-?\d+`
		case "num":
			pattern += `-?[\d.]+`
		default:
			pattern += ".*"
		}
		at = m[1]
	}
	re, err := regexp.Compile(pattern + regexp.QuoteMeta(want[at:]) + "$")
	return err == nil && re.MatchString(got)
}
