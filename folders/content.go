package folders

import (
	"slices"
	"strings"
)

// contentTypes maps endings to the first half of their media type, for the kinds of file that nodes offer for upload.
var contentTypes = endings()

func endings() map[string]string {
	types := map[string]string{}
	for kind, exts := range map[string]string{
		"image": "avif bmp cdr cur dib emf gif heic heics heif heifs hif ico ief j2c j2k jfif jp2 jpe jpeg jpf jpg jpg2 jpgm jpm jpx " +
			"pbm pcx pgm pic pct pict png pnm ppm psd ras rgb svg svgz tif tiff webp wmf xbm xpm xwd",
		"video": "3g2 3gp 3gp2 3gpp avi dl fli flv gl m1v m2v m4v mkv mov movie mp4 mpa mpe mpeg mpg mpv ogv qt ts webm wmv",
		"audio": "3ga aac adts aif aifc aiff ass au caf flac kar loas m3u m4a mid midi mka mp2 mp3 mpega mpga oga ogg opus ra ram " +
			"rmi sid snd spx wav wma",
		"model": "3mf fbx glb gltf iges igs mesh msh mtl obj silo stl vrml wrl x3d x3dv x3dz",
	} {
		for _, e := range strings.Fields(exts) {
			types[e] = kind
		}
	}
	return types
}

// ContentType returns "image", "video", "audio" or "model" (a 3D model) by the ending of a name, or "".
func ContentType(name string) string {
	return contentTypes[strings.TrimPrefix(Ext(name), ".")]
}

// FilterContent returns the names whose content type is one of kinds, in their order.
func FilterContent(names []string, kinds ...string) []string {
	out := []string{}
	for _, n := range names {
		if t := ContentType(n); t != "" && slices.Contains(kinds, t) {
			out = append(out, n)
		}
	}
	return out
}
