package acestep

// Parts of reading lyrics.
var (
	Clean  = clean
	Romaji = romaji
	Tokens = lyricsTokenizer
)
