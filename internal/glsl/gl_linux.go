package glsl

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Constants of OpenGL ES 3.0.
const (
	glColorBufferBit      = 0x4000
	glTriangles           = 4
	glBlend               = 0x0BE2
	glMaxTextureSize      = 0x0D33
	glTexture2D           = 0x0DE1
	glFloat               = 0x1406
	glRed                 = 0x1903
	glRGBA                = 0x1908
	glRenderer            = 0x1F01
	glVersion             = 0x1F02
	glLinear              = 0x2601
	glTextureMagFilter    = 0x2800
	glTextureMinFilter    = 0x2801
	glTextureWrapS        = 0x2802
	glTextureWrapT        = 0x2803
	glClampToEdge         = 0x812F
	glR32F                = 0x822E
	glTexture0            = 0x84C0
	glRGBA32F             = 0x8814
	glFragmentShader      = 0x8B30
	glVertexShader        = 0x8B31
	glCompileStatus       = 0x8B81
	glLinkStatus          = 0x8B82
	glFramebufferComplete = 0x8CD5
	glColorAttachment0    = 0x8CE0
	glFramebuffer         = 0x8D40
)

// gl are the functions of OpenGL ES that are used.
type gl struct {
	activeTexture          func(unit uint32)
	attachShader           func(program, shader uint32)
	bindFramebuffer        func(target, name uint32)
	bindTexture            func(target, name uint32)
	bindVertexArray        func(name uint32)
	checkFramebufferStatus func(target uint32) uint32
	clear                  func(mask uint32)
	clearColor             func(r, g, b, a float32)
	compileShader          func(shader uint32)
	createProgram          func() uint32
	createShader           func(kind uint32) uint32
	disable                func(what uint32)
	drawArrays             func(mode uint32, first, count int32)
	drawBuffers            func(count int32, buffers *uint32)
	finish                 func()
	framebufferTexture2D   func(target, attachment, kind, texture uint32, level int32)
	genFramebuffers        func(count int32, names *uint32)
	genTextures            func(count int32, names *uint32)
	genVertexArrays        func(count int32, names *uint32)
	getError               func() uint32
	getIntegerv            func(what uint32, to *int32)
	getProgramInfoLog      func(program uint32, size int32, length *int32, text *byte)
	getProgramiv           func(program, what uint32, to *int32)
	getShaderInfoLog       func(shader uint32, size int32, length *int32, text *byte)
	getShaderiv            func(shader, what uint32, to *int32)
	getString              func(what uint32) string
	getUniformLocation     func(program uint32, name string) int32
	linkProgram            func(program uint32)
	readBuffer             func(source uint32)
	readPixels             func(x, y, w, h int32, format, kind uint32, to unsafe.Pointer)
	shaderSource           func(shader uint32, count int32, texts **byte, lengths *int32)
	texImage2D             func(target uint32, level, format, w, h, border int32, layout, kind uint32, from unsafe.Pointer)
	texParameteri          func(target, what uint32, value int32)
	uniform1f              func(at int32, v float32)
	uniform1i              func(at, v int32)
	uniform2f              func(at int32, x, y float32)
	useProgram             func(program uint32)
	viewport               func(x, y, w, h int32)
}

func loadGL(address func(name string) uintptr) (*gl, error) {
	g := &gl{}
	for name, to := range map[string]any{
		"glActiveTexture": &g.activeTexture, "glAttachShader": &g.attachShader, "glBindFramebuffer": &g.bindFramebuffer,
		"glBindTexture": &g.bindTexture, "glBindVertexArray": &g.bindVertexArray, "glCheckFramebufferStatus": &g.checkFramebufferStatus,
		"glClear": &g.clear, "glClearColor": &g.clearColor, "glCompileShader": &g.compileShader, "glCreateProgram": &g.createProgram,
		"glCreateShader": &g.createShader, "glDisable": &g.disable, "glDrawArrays": &g.drawArrays, "glDrawBuffers": &g.drawBuffers,
		"glFinish": &g.finish, "glFramebufferTexture2D": &g.framebufferTexture2D, "glGenFramebuffers": &g.genFramebuffers,
		"glGenTextures": &g.genTextures, "glGenVertexArrays": &g.genVertexArrays, "glGetError": &g.getError, "glGetIntegerv": &g.getIntegerv,
		"glGetProgramInfoLog": &g.getProgramInfoLog, "glGetProgramiv": &g.getProgramiv, "glGetShaderInfoLog": &g.getShaderInfoLog,
		"glGetShaderiv": &g.getShaderiv, "glGetString": &g.getString, "glGetUniformLocation": &g.getUniformLocation,
		"glLinkProgram": &g.linkProgram, "glReadBuffer": &g.readBuffer, "glReadPixels": &g.readPixels, "glShaderSource": &g.shaderSource,
		"glTexImage2D": &g.texImage2D, "glTexParameteri": &g.texParameteri, "glUniform1f": &g.uniform1f, "glUniform1i": &g.uniform1i,
		"glUniform2f": &g.uniform2f, "glUseProgram": &g.useProgram, "glViewport": &g.viewport,
	} {
		at := address(name)
		if at == 0 {
			return nil, fmt.Errorf("%w: the driver has no %s", ErrUnavailable, name)
		}
		purego.RegisterFunc(to, at)
	}
	return g, nil
}

// texture makes a texture that is sampled between pixels and repeats its edges, bound to the active unit.
func (g *gl) texture() uint32 {
	name := new(uint32)
	g.genTextures(1, name)
	g.bindTexture(glTexture2D, *name)
	for what, value := range map[uint32]int32{glTextureMinFilter: glLinear, glTextureMagFilter: glLinear, glTextureWrapS: glClampToEdge, glTextureWrapT: glClampToEdge} {
		g.texParameteri(glTexture2D, what, value)
	}
	return *name
}

// target makes a framebuffer of count color textures of float32.
func (g *gl) target(width, height int, count int) (framebuffer uint32, textures []uint32, err error) {
	name := new(uint32)
	g.genFramebuffers(1, name)
	g.bindFramebuffer(glFramebuffer, *name)
	buffers := make([]uint32, count)
	for i := range buffers {
		t := g.texture()
		g.texImage2D(glTexture2D, 0, glRGBA32F, int32(width), int32(height), 0, glRGBA, glFloat, nil)
		buffers[i] = glColorAttachment0 + uint32(i)
		g.framebufferTexture2D(glFramebuffer, buffers[i], glTexture2D, t, 0)
		textures = append(textures, t)
	}
	g.drawBuffers(int32(count), &buffers[0])
	if status := g.checkFramebufferStatus(glFramebuffer); status != glFramebufferComplete {
		return 0, nil, fmt.Errorf("the driver renders into no float32 image of %dx%d (status %#x, error %#x)", width, height, status, g.getError())
	}
	return *name, textures, nil
}

// shader compiles one stage; an error has the driver's log.
func (g *gl) shader(kind uint32, source string) (uint32, error) {
	name := g.createShader(kind)
	text, length, status := append([]byte(source), 0), int32(len(source)), new(int32)
	first := &text[0]
	g.shaderSource(name, 1, &first, &length)
	g.compileShader(name)
	g.getShaderiv(name, glCompileStatus, status)
	if *status == 0 {
		return 0, fmt.Errorf("the shader does not compile: %s", readLog(func(size int32, n *int32, to *byte) { g.getShaderInfoLog(name, size, n, to) }))
	}
	return name, nil
}

// readLog reads a driver's log.
func readLog(read func(size int32, n *int32, to *byte)) string {
	buffer, n := make([]byte, 8192), new(int32)
	read(int32(len(buffer)), n, &buffer[0])
	return logText(string(buffer[:min(max(int(*n), 0), len(buffer))]))
}
