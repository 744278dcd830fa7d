package acestep

import (
	"regexp"
	"slices"
	"strings"

	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/internal/pystr"
)

// lines tokenizes lyrics line by line, each in its language (upstream: text_encoders/ace.py VoiceBpeTokenizer).
type lines struct {
	src   weights.Source
	model tokenizer.Model
}

// languages are the languages that a line may name, as in "[fr]Bonjour".
var languages = []string{"en", "de", "fr", "es", "it", "pt", "pl", "tr", "ru", "cs", "nl", "ar", "zh", "ja", "hu", "ko", "hi"}

// structure is what marks a part of a song, such as "[verse]".
var structure = regexp.MustCompile(`^\[.*?\]`)

// Encode implements tokenizer.Model.
func (l *lines) Encode(text string) ([]int32, error) {
	var out []int32
	for line := range strings.SplitSeq(text, "\n") {
		line = pystr.Strip(line)
		if line != "" {
			ids, err := l.line(line)
			if err != nil {
				return nil, err
			}
			out = append(out, ids...)
		}
		out = append(out, newLine)
	}
	return out, nil
}

func (l *lines) line(line string) ([]int32, error) {
	if l.model == nil {
		m, err := wordsBeside(l.src)
		if err != nil {
			return nil, err
		}
		l.model = m
	}
	language, line := languageOf(line)
	if latin := romaji(line); latin != line {
		line, language = latin, "ja"
	}
	if structure.MatchString(line) {
		language = "en"
	}
	text := clean(line, language)
	if language == "zh" {
		language = "zh-cn"
	}
	return l.model.Encode(strings.ReplaceAll("["+language+"]"+text, " ", "[SPACE]"))
}

// languageOf returns the language that a line names, English where it names none, and the rest of the line.
func languageOf(line string) (language, rest string) {
	runes := []rune(line)
	if len(runes) > 3 && runes[0] == '[' && runes[3] == ']' {
		if named := pystr.Lower(string(runes[1:3])); slices.Contains(languages, named) {
			return named, string(runes[4:])
		}
	}
	return "en", line
}
