package reply

import (
	"bufio"
	"os"
	"path"
	"strings"
	"sync"
)

// OrNull returns a text, or null for nil.
func OrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// pythonTypes is the table that Python's mimetypes module starts from: a media type and its endings a line.
const pythonTypes = `text/javascript js mjs
application/json json
application/manifest+json webmanifest
application/msword doc dot wiz
application/n-quads nq
application/n-triples nt
application/octet-stream bin a dll exe o obj so
application/oda oda
application/pdf pdf
application/pkcs7-mime p7c
application/postscript ps ai eps
application/trig trig
application/vnd.apple.mpegurl m3u m3u8
application/vnd.ms-excel xls xlb
application/vnd.ms-powerpoint ppt pot ppa pps pwz
application/wasm wasm
application/x-bcpio bcpio
application/x-cpio cpio
application/x-csh csh
application/x-dvi dvi
application/x-gtar gtar
application/x-hdf hdf
application/x-hdf5 h5
application/x-latex latex
application/x-mif mif
application/x-netcdf cdf nc
application/x-pkcs12 p12 pfx
application/x-pn-realaudio ram
application/x-python-code pyc pyo
application/x-sh sh
application/x-shar shar
application/x-shockwave-flash swf
application/x-sv4cpio sv4cpio
application/x-sv4crc sv4crc
application/x-tar tar
application/x-tcl tcl
application/x-tex tex
application/x-texinfo texi texinfo
application/x-troff roff t tr
application/x-troff-man man
application/x-troff-me me
application/x-troff-ms ms
application/x-ustar ustar
application/x-wais-source src
application/xml xsl rdf wsdl xpdl
application/zip zip
audio/3gpp 3gp 3gpp
audio/3gpp2 3g2 3gpp2
audio/aac aac adts loas ass
audio/basic au snd
audio/mpeg mp3 mp2
audio/opus opus
audio/x-aiff aif aifc aiff
audio/x-pn-realaudio ra
audio/x-wav wav
image/avif avif
image/bmp bmp
image/gif gif
image/ief ief
image/jpeg jpg jpe jpeg
image/heic heic
image/heif heif
image/png png
image/svg+xml svg
image/tiff tiff tif
image/vnd.microsoft.icon ico
image/x-cmu-raster ras
image/x-portable-anymap pnm
image/x-portable-bitmap pbm
image/x-portable-graymap pgm
image/x-portable-pixmap ppm
image/x-rgb rgb
image/x-xbitmap xbm
image/x-xpixmap xpm
image/x-xwindowdump xwd
message/rfc822 eml mht mhtml nws
text/css css
text/csv csv
text/html html htm
text/n3 n3
text/plain txt bat c h ksh pl srt
text/richtext rtx
text/tab-separated-values tsv
text/vtt vtt
text/x-python py
text/x-setext etx
text/x-sgml sgm sgml
text/x-vcard vcf
text/xml xml
video/mp4 mp4
video/mpeg mpeg m1v mpa mpe mpg
video/quicktime mov qt
video/webm webm
video/x-msvideo avi
video/x-sgi-movie movie`

// commonTypes are endings that the usual system tables know and Python's own does not; a machine without such a table
// still serves them correctly.
const commonTypes = `text/markdown md markdown
audio/flac flac
audio/mp4 m4a
audio/ogg ogg oga spx
video/x-m4v m4v
video/x-matroska mkv
video/ogg ogv
model/gltf-binary glb
model/gltf+json gltf
model/obj obj
model/stl stl
application/xhtml+xml xhtml xht
application/atom+xml atom
font/woff2 woff2
font/woff woff`

// comfyTypes are the types that upstream adds to the others.
const comfyTypes = `application/javascript js
image/webp webp
image/svg+xml svg
application/safetensors safetensors sft
application/pytorch pt pth
application/pickle ckpt pkl
application/gguf gguf
application/yaml yaml yml`

// systemTypeFiles are the places in which Python looks for the system's tables, later ones winning.
var systemTypeFiles = []string{
	"/etc/mime.types", "/etc/httpd/mime.types", "/etc/httpd/conf/mime.types", "/etc/apache/mime.types",
	"/etc/apache2/mime.types", "/usr/local/etc/httpd/conf/mime.types", "/usr/local/lib/netscape/mime.types",
	"/usr/local/etc/mime.types",
}

// packings are the endings of compressed files; the type is that of the file inside.
var packings = map[string]bool{".gz": true, ".Z": true, ".bz2": true, ".xz": true, ".br": true}

var packedSuffixes = map[string]string{
	".svgz": ".svg.gz", ".tgz": ".tar.gz", ".taz": ".tar.gz", ".tz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz",
}

func addTypes(table map[string]string, lines string) {
	for line := range strings.Lines(lines) {
		addTypeLine(table, line)
	}
}

func addTypeLine(table map[string]string, line string) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	for _, ending := range words[1:] {
		table["."+ending] = words[0]
	}
}

// guessedTypes is the table for files of users, read at the first use.
var guessedTypes = sync.OnceValue(func() map[string]string {
	table := map[string]string{}
	addTypes(table, pythonTypes)
	addTypes(table, commonTypes)
	for _, file := range systemTypeFiles {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			addTypeLine(table, lines.Text())
		}
		_ = f.Close()
	}
	addTypes(table, comfyTypes)
	table[".js"] += "; charset=utf-8" // as upstream adds it
	return table
})

// GuessType returns the media type of a user's file by its name as Python's mimetypes does, or "".
func GuessType(name string) string {
	base, ending := SplitExt(name)
	if to, ok := packedSuffixes[ending]; ok {
		base, ending = SplitExt(base + to)
	}
	if packings[ending] {
		_, ending = SplitExt(base)
	}
	table := guessedTypes()
	if t, ok := table[ending]; ok {
		return t
	}
	return table[strings.ToLower(ending)]
}

// staticTypes is the table for the front end's files, the same on every machine.
var staticTypes = sync.OnceValue(func() map[string]string {
	table := map[string]string{}
	addTypes(table, pythonTypes)
	addTypes(table, "application/gzip gz\napplication/x-brotli br\napplication/x-bzip2 bz2\napplication/x-compress Z\napplication/x-xz xz")
	return table
})

// StaticType is the media type that upstream serves a static file with.
func StaticType(name string) string {
	_, ending := SplitExt(name)
	table := staticTypes()
	for _, e := range []string{ending, strings.ToLower(ending)} {
		if t, ok := table[e]; ok {
			return t
		}
	}
	return OctetStream
}

// OctetStream is the media type of bytes of an unknown type.
const OctetStream = "application/octet-stream"

// SplitExt parts a name before its last dot as Python's os.path.splitext does: dots at the beginning of the last part
// of the path do not count.
func SplitExt(name string) (base, ending string) {
	file := name[strings.LastIndexByte(name, '/')+1:]
	bare := strings.TrimLeft(file, ".")
	ending = path.Ext(bare)
	return name[:len(name)-len(ending)], ending
}

// dangerousTypes may run scripts when a browser shows them.
var dangerousTypes = map[string]bool{
	"text/html": true, "text/html-sandboxed": true, "application/xhtml+xml": true, "text/javascript": true,
	"application/javascript": true, "application/x-javascript": true, "application/ecmascript": true, "text/css": true,
	"image/svg+xml": true, "application/xml": true, "text/xml": true, "message/rfc822": true,
}

// BareType is a media type without its parameters, in lower case.
func BareType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// IsDangerous reports whether a browser could run scripts from a file of the type; every kind of XML counts.
func IsDangerous(contentType string) bool {
	t := BareType(contentType)
	return dangerousTypes[t] || strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "/xml")
}
