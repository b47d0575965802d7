package pagerduty

import (
	"net/url"
	"strings"
)

// links returns the links PagerDuty takes, in their order. One without href
// would get the whole event refused.
func (r *repairer) links(links []Link) []Link {
	if len(links) == 0 {
		return nil
	}
	kept := make([]Link, 0, len(links))
	for _, link := range links {
		fixed := Link{Href: address(link.Href), Text: clean(link.Text, true)}
		switch {
		case fixed.Href == "":
			r.note("links", "one without href left out")
			continue
		case fixed != link:
			r.note("links", "white space, invalid UTF-8 or control characters replaced")
		}
		kept = append(kept, fixed)
	}
	return kept
}

// images returns the images PagerDuty takes, in their order: those with a src
// that is served over HTTPS.
func (r *repairer) images(images []Image) []Image {
	if len(images) == 0 {
		return nil
	}
	kept := make([]Image, 0, len(images))
	for _, image := range images {
		fixed := Image{Src: secure(address(image.Src)), Href: address(image.Href), Alt: clean(image.Alt, true)}
		switch {
		case address(image.Src) == "":
			r.note("images", "one without src left out")
			continue
		case fixed.Src == "":
			r.note("images", "one whose src is not https left out")
			continue
		case fixed != image:
			r.note("images", "white space, invalid UTF-8 or control characters replaced")
		}
		kept = append(kept, fixed)
	}
	return kept
}

func address(s string) string { return strings.TrimSpace(clean(s, true)) }

// secure returns src if it is an https URL, with the scheme in lower case,
// and otherwise nothing.
func secure(src string) string {
	const scheme = "https://"
	if len(src) <= len(scheme) || !strings.EqualFold(src[:len(scheme)], scheme) {
		return ""
	}
	if u, err := url.Parse(src); err != nil || u.Host == "" {
		return ""
	}
	return scheme + src[len(scheme):]
}
