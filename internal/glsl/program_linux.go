package glsl

import (
	"fmt"
	"strconv"
	"unsafe"
)

// vertexSource covers the image with one triangle.
const vertexSource = `#version 300 es
out vec2 v_texCoord;
void main() {
    vec2 corner = vec2((gl_VertexID & 1) * 4, (gl_VertexID >> 1) * 4) - 1.0;
    v_texCoord = corner * 0.5 + 0.5;
    gl_Position = vec4(corner, 0.0, 1.0);
}
`

// shaderProgram is a linked program with its textures.
type shaderProgram struct {
	*gl

	job          *Job
	driver       string
	id           uint32
	framebuffer  uint32
	inputs       []uint32
	turns        [2]uint32 // framebuffers of passes in turn
	turned       [2]uint32 // their textures
	largest      int32
	passes       int
	passLocation int32
	pixels       []float32 // of an image as the driver takes it
}

// compile makes the context and the program of a job.
func compile(job *Job) (program, error) {
	g, err := openGL()
	if err != nil {
		return nil, err
	}
	p := &shaderProgram{gl: g, job: job, driver: g.getString(glRenderer) + ", " + g.getString(glVersion), passes: job.Passes()}
	largest, array := new(int32), new(uint32)
	g.getIntegerv(glMaxTextureSize, largest)
	p.largest = *largest
	if job.Width > int(*largest) || job.Height > int(*largest) {
		return nil, fmt.Errorf("the driver renders images of at most %d pixels a side, not %dx%d", *largest, job.Width, job.Height)
	}
	g.genVertexArrays(1, array)
	g.bindVertexArray(*array)
	if err := p.link(); err != nil {
		return nil, err
	}
	g.useProgram(p.id)
	if p.framebuffer, _, err = g.target(job.Width, job.Height, job.Outputs()); err != nil {
		return nil, err
	}
	if p.passes > 1 {
		for i := range p.turns {
			framebuffer, textures, err := g.target(job.Width, job.Height, 1)
			if err != nil {
				return nil, err
			}
			p.turns[i], p.turned[i] = framebuffer, textures[0]
		}
	}
	p.uniforms()
	g.viewport(0, 0, int32(job.Width), int32(job.Height))
	g.disable(glBlend)
	g.clearColor(0, 0, 0, 0)
	return p, nil
}

func (p *shaderProgram) name() string { return p.driver }

func (p *shaderProgram) link() error {
	vertex, err := p.shader(glVertexShader, vertexSource)
	if err != nil {
		return err
	}
	fragment, err := p.shader(glFragmentShader, precise(p.job.Source))
	if err != nil {
		return err
	}
	p.id = p.createProgram()
	p.attachShader(p.id, vertex)
	p.attachShader(p.id, fragment)
	p.linkProgram(p.id)
	status := new(int32)
	p.getProgramiv(p.id, glLinkStatus, status)
	if *status == 0 {
		return fmt.Errorf("the shader does not link: %s", readLog(func(size int32, n *int32, to *byte) { p.getProgramInfoLog(p.id, size, n, to) }))
	}
	return nil
}

// uniforms sets the uniforms that are the same for all frames and makes the textures.
func (p *shaderProgram) uniforms() {
	if at := p.location("u_resolution", -1); at >= 0 {
		p.uniform2f(at, float32(p.job.Width), float32(p.job.Height))
	}
	for i := range p.job.Images {
		p.activeTexture(glTexture0 + uint32(i))
		p.inputs = append(p.inputs, p.texture())
		p.set("u_image", i, int32(i))
	}
	for i, v := range p.job.Floats {
		if at := p.location("u_float", i); at >= 0 {
			p.uniform1f(at, v)
		}
	}
	for i, v := range p.job.Ints {
		p.set("u_int", i, v)
	}
	for i, v := range p.job.Bools {
		if v {
			p.set("u_bool", i, 1)
		} else {
			p.set("u_bool", i, 0)
		}
	}
	for i, table := range p.job.Curves {
		unit := MaxImages + i
		p.activeTexture(glTexture0 + uint32(unit))
		p.texture()
		p.texImage2D(glTexture2D, 0, glR32F, int32(len(table)), 1, 0, glRed, glFloat, unsafe.Pointer(&table[0]))
		p.set("u_curve", i, int32(unit))
	}
	p.passLocation = p.location("u_pass", -1)
}

// location is that of a uniform, with a number behind its name unless that is negative; -1 where the shader does not use it.
func (p *shaderProgram) location(name string, i int) int32 {
	if i >= 0 {
		name += strconv.Itoa(i)
	}
	return p.getUniformLocation(p.id, name)
}

func (p *shaderProgram) set(name string, i int, v int32) {
	if at := p.location(name, i); at >= 0 {
		p.uniform1i(at, v)
	}
}

// render implements program. Textures begin with the lowest row.
func (p *shaderProgram) render(images []Image, results [][]float32) error {
	for i, image := range images {
		if image.Width > int(p.largest) || image.Height > int(p.largest) {
			return fmt.Errorf("the driver takes images of at most %d pixels a side, not %dx%d", p.largest, image.Width, image.Height)
		}
		p.activeTexture(glTexture0 + uint32(i))
		p.bindTexture(glTexture2D, p.inputs[i])
		p.upload(image)
	}
	p.activeTexture(glTexture0)
	for pass := range p.passes {
		framebuffer := p.framebuffer
		if pass < p.passes-1 {
			framebuffer = p.turns[pass%2]
		}
		p.bindFramebuffer(glFramebuffer, framebuffer)
		p.bindTexture(glTexture2D, p.inputs[0])
		if pass > 0 {
			p.bindTexture(glTexture2D, p.turned[(pass-1)%2])
		}
		if p.passLocation >= 0 {
			p.uniform1i(p.passLocation, int32(pass))
		}
		p.clear(glColorBufferBit)
		p.drawArrays(glTriangles, 0, 3)
	}
	p.finish()
	width, height := p.job.Width, p.job.Height
	for i, to := range results {
		p.readBuffer(glColorAttachment0 + uint32(i))
		p.readPixels(0, 0, int32(width), int32(height), glRGBA, glFloat, unsafe.Pointer(&to[0]))
		swapRows(to, 4*width)
	}
	if code := p.getError(); code != 0 {
		return fmt.Errorf("the driver reports the error %#x: the images may be too large for it", code)
	}
	return nil
}

// upload gives an image to the bound texture.
func (p *shaderProgram) upload(image Image) {
	w, h, c := image.Width, image.Height, image.Channels
	if cap(p.pixels) < 4*w*h {
		p.pixels = make([]float32, 4*w*h)
	}
	p.pixels = p.pixels[:4*w*h]
	for y := range h {
		for x := range w {
			to := p.pixels[((h-1-y)*w+x)*4:][:4]
			to[3] = 1
			copy(to, image.Data[(y*w+x)*c:][:c])
		}
	}
	p.texImage2D(glTexture2D, 0, glRGBA32F, int32(w), int32(h), 0, glRGBA, glFloat, unsafe.Pointer(&p.pixels[0]))
}

// swapRows turns an image of rows of n values upside down.
func swapRows(values []float32, n int) {
	row := make([]float32, n)
	for top, bottom := 0, len(values)-n; top < bottom; top, bottom = top+n, bottom-n {
		copy(row, values[top:top+n])
		copy(values[top:top+n], values[bottom:bottom+n])
		copy(values[bottom:bottom+n], row)
	}
}
