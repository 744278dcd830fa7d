package acestep

import "strings"

// syllables are the syllables of hiragana, by the rows of their table, in Hepburn's romanization.
const syllables = `あa いi うu えe おo かka きki くku けke こko さsa しshi すsu せse そso たta ちchi つtsu てte とto なna にni ぬnu ねne のno
はha ひhi ふfu へhe ほho まma みmi むmu めme もmo やya ゆyu よyo らra りri るru れre ろro わwa をwo んn
がga ぎgi ぐgu げge ごgo ざza じji ずzu ぜze ぞzo だda ぢji づzu でde どdo ばba びbi ぶbu べbe ぼbo ぱpa ぴpi ぷpu ぺpe ぽpo
ゃya ゅyu ょyo`

// kana are the romanizations of single characters, including katakana, whose characters have a constant offset from hiragana.
var kana = func() map[rune]string {
	const behind = 'ア' - 'あ'
	out := map[rune]string{'っ': "", 'ッ': "", 'ヴ': "vu", '　': " ", '、': ", ", '。': ". "}
	for s := range strings.FieldsSeq(syllables) {
		r := []rune(s)
		out[r[0]], out[r[0]+behind] = string(r[1:]), string(r[1:])
	}
	return out
}()

// glides are the consonants of syllables that a small ya, yu or yo follows, by their first character in hiragana.
var glides = map[rune]string{
	'き': "ky", 'し': "sh", 'ち': "ch", 'に': "ny", 'ひ': "hy", 'み': "my", 'り': "ry", 'ぎ': "gy", 'じ': "j", 'び': "by", 'ぴ': "py",
}

// romaji writes Japanese syllables in Latin letters and leaves everything else. Upstream: ace_text_cleaners.py japanese_to_romaji.
func romaji(text string) string {
	var out strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		r, next := runes[i], rune(0)
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		if (r == 'っ' || r == 'ッ') && i+1 < len(runes) {
			if latin := kana[next]; latin != "" && !strings.ContainsRune("aiueon", rune(latin[0])) {
				out.WriteByte(latin[0]) // the consonant is doubled
			}
			continue
		}
		if latin := glide(r, next); latin != "" {
			out.WriteString(latin)
			i++
		} else if latin, ok := kana[r]; ok {
			out.WriteString(latin)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// glide is a syllable of a character and a small ya, yu or yo of the same script, "" for others.
func glide(r, next rune) string {
	const behind = 'ア' - 'あ'
	at := strings.IndexRune("ゃゅょ", next)
	if at < 0 {
		if at = strings.IndexRune("ャュョ", next); at < 0 {
			return ""
		}
		r -= behind
	}
	consonant, ok := glides[r]
	if !ok {
		return ""
	}
	return consonant + string("auo"[at/len("ゃ")])
}
