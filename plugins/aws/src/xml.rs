//! The XML of S3: flat documents of a few known elements.

use quick_xml::Reader;
use quick_xml::events::Event;

/// How deep elements may nest: answers of S3 have four levels, and a server that sends a million of them is none.
const MAX_DEPTH: usize = 64;

/// An element with its text and its children; attributes and namespaces mean nothing here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The text of the first child with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }

    /// The children with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The root element; none if the text is no XML, or nests deeper than any answer.
pub fn parse(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let closed = match reader.read_event().ok()? {
            Event::Start(_) if open.len() == MAX_DEPTH => return None,
            Event::Start(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                open.push(Element { name, ..Element::default() });
                continue;
            }
            Event::Empty(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                Element { name, ..Element::default() }
            }
            Event::End(_) => open.pop()?,
            Event::Text(text) => {
                if let (Some(element), Ok(text)) = (open.last_mut(), text.decode()) {
                    element.text.push_str(&text);
                }
                continue;
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&String::from_utf8_lossy(&text));
                }
                continue;
            }
            Event::GeneralRef(reference) => {
                let name = String::from_utf8_lossy(&reference).into_owned();
                let text = match reference.resolve_char_ref() {
                    Ok(Some(letter)) => letter.to_string(),
                    _ => quick_xml::escape::resolve_predefined_entity(&name)?.to_owned(),
                };
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
                continue;
            }
            Event::Eof => return None,
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Some(closed),
        }
    }
}

/// The text of a child of the root, such as the `Code` of an `Error`.
pub fn text(document: &str, name: &str) -> Option<String> {
    let root = parse(document)?;
    // Some servers put the error into an `ErrorResponse`.
    let inner = root.children.iter().find(|child| child.name == "Error");
    inner.unwrap_or(&root).get(name).map(str::to_owned).or_else(|| root.get(name).map(str::to_owned))
}

/// A document of a root and nested elements.
pub struct Writer(String);

impl Writer {
    pub fn new(root: &str) -> Self {
        Self(format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"))
    }

    pub fn open(&mut self, name: &str) -> &mut Self {
        self.0.push_str(&["<", name, ">"].concat());
        self
    }

    pub fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str(&["</", name, ">"].concat());
        self
    }

    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name);
        self.0.push_str(&quick_xml::escape::escape(text));
        self.close(name)
    }

    pub fn finish(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_written() {
        let mut writer = Writer::new("Delete");
        writer
            .open("Object")
            .leaf("Key", "a&b <\"c\">")
            .close("Object")
            .open("Object")
            .leaf("Key", "d")
            .close("Object");
        let text = writer.finish("Delete");
        let root = parse(&format!("<?xml version=\"1.0\"?>\n{text}")).unwrap();
        let keys: Vec<&str> = root.all("Object").filter_map(|object| object.get("Key")).collect();
        assert_eq!((root.name.as_str(), keys), ("Delete", vec!["a&b <\"c\">", "d"]));
        assert_eq!(parse("<a>x&#65;<![CDATA[<y>]]></a>").unwrap().text, "xA<y>");
        for text in ["", "no xml", "<a>", "<a></b>"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        for (depth, is_read) in [(1, true), (MAX_DEPTH, true), (MAX_DEPTH + 1, false), (1_000_000, false)] {
            assert_eq!(parse(&nested(depth)).is_some(), is_read, "{depth}");
        }
    }

    #[test]
    fn errors_stand_in_two_forms() {
        for document in
            ["<Error><Code>X</Code></Error>", "<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>"]
        {
            assert_eq!(text(document, "Code").as_deref(), Some("X"));
        }
    }
}
