package minimaxmusic

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"comfygo/engine/family"
	"comfygo/internal/pystr"
)

// loader is the type of the language model in the CLIP loaders.
const loader = "minimax"

// Song is what a prompt's caption leaves out: Prompt.Extra.
type Song struct {
	Lyrics string
	Seed   uint64
	// Frames is the most frames, of which a second has 25. Guidance is the scale of the guidance, Top the number of codes that may be chosen.
	Frames   int
	Guidance float64
	Top      int
	// Progress, when set, is called after each frame with the number of frames and the most.
	Progress func(done, of int)
}

// plain is the song of a prompt without Extra.
var plain = Song{Frames: mostFrames, Guidance: 1.5, Top: 50}

func songOf(p family.Prompt) Song {
	if s, ok := p.Extra.(Song); ok {
		return s
	}
	return plain
}

// Upstream: text_encoders/minimax_music.py.
func init() {
	family.Register(family.Single{
		Label: "MiniMax Music 3", Order: 167, Loader: loader, Only: []string{},
		Encoder: family.SchemeEncoder{Key: Key, Plain: true, Text: func(p family.Prompt) (string, bool) { return prompt(p.Text, songOf(p).Lyrics), true }, Run: write},
	})
}

// write writes the song of a prompt.
func write(ctx context.Context, c family.SchemeCall) (family.Encoding, error) {
	net, ok := c.Net.(*encoder)
	if !ok {
		return family.Encoding{}, fmt.Errorf("writing a song: the text encoder %s is not that of MiniMax Music 3", c.Net.Key())
	}
	list, err := ids(c.Tokens[Key])
	if err != nil {
		return family.Encoding{}, err
	}
	states, err := net.generate(ctx, c.Runner, list, songOf(c.Prompt), c.Cached)
	return family.Encoding{Hidden: states}, err
}

// Seconds is the duration of a number of frames.
func Seconds(frames int) float64 { return float64(frames) / perSecond }

var (
	special   = regexp.MustCompile(`<\|([^|]*)\|>`)
	space     = `[\s\x0b\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]`
	heading   = regexp.MustCompile(`^` + space + `{0,3}#{1,6}` + space + `+`)
	bullet    = regexp.MustCompile(`^` + space + `*[*+-]` + space + `+`)
	bold      = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	rule      = regexp.MustCompile(`(?m)^` + space + `*[-*_]{3,}` + space + `*$`)
	blankLine = regexp.MustCompile(`\n{2,}`)
	lyricTag  = regexp.MustCompile(space + `*(\[[^\]]+\])` + space + `*`)
	lineEnds  = regexp.MustCompile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\u0085\u2028\u2029]")
)

// prompt is the prompt of the language model. Upstream: prompt.py build_prompt.
func prompt(caption, lyrics string) string {
	return "<|im_start|><|caption_start|>" + cleanCaption(caption) + "<|caption_end|><|lyrics_start|>" + cleanLyrics(lyrics) + "<|lyrics_end|><|im_end|><|audio_start|>"
}

// cleanCaption takes marks of special tokens and of Markdown out.
func cleanCaption(s string) string {
	s = special.ReplaceAllStringFunc(s, func(m string) string {
		inner := pystr.Strip(special.FindStringSubmatch(m)[1])
		first, _, ok := strings.Cut(strings.Map(func(r rune) rune {
			if pystr.IsSpace(r) {
				return ' '
			}
			return r
		}, inner), " ")
		if !ok {
			return inner
		}
		return first + " is " + strings.TrimLeftFunc(inner[len(first):], pystr.IsSpace)
	})
	return blankLine.ReplaceAllString(withoutMarkdown(s), "\n")
}

func withoutMarkdown(s string) string {
	lines := lineEnds.Split(s, -1)
	if len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1] // a line end at the end begins no line
	}
	for i, l := range lines {
		l = bullet.ReplaceAllString(heading.ReplaceAllString(l, ""), "")
		for strings.Contains(l, "**") {
			plain := bold.ReplaceAllString(l, "$1")
			if plain == l {
				break
			}
			l = plain
		}
		lines[i] = strings.TrimRightFunc(withoutItalics(l), pystr.IsSpace)
	}
	s = rule.ReplaceAllString(strings.Join(lines, "\n"), "")
	return strings.ReplaceAll(strings.ReplaceAll(s, "• ", ""), "    ", "")
}

// withoutItalics takes single stars around a text out, from left to right.
func withoutItalics(l string) string {
	var out strings.Builder
	for i := 0; i < len(l); {
		if l[i] == '*' && (i == 0 || l[i-1] != '*') {
			end := strings.IndexByte(l[i+1:], '*')
			if end > 0 && (i+end+2 >= len(l) || l[i+end+2] != '*') {
				out.WriteString(l[i+1 : i+1+end])
				i += end + 2
				continue
			}
		}
		out.WriteByte(l[i])
		i++
	}
	return out.String()
}

// cleanLyrics puts tags such as [Verse] on lines of their own, in lower case.
func cleanLyrics(s string) string {
	var parts []string
	add := func(p string) {
		if p == "" {
			return
		}
		if strings.HasPrefix(p, "[") {
			p = pystr.Lower(p)
		}
		parts = append(parts, p)
	}
	at := 0
	for _, m := range lyricTag.FindAllStringSubmatchIndex(s, -1) {
		add(s[at:m[0]])
		add(s[m[2]:m[3]])
		at = m[1]
	}
	add(s[at:])
	return "[start]\n" + strings.ReplaceAll(strings.Join(parts, "\n"), " ^ ", "\n")
}
