//! What a file is, seen without compiling it: whether it is a component, what it is made of, what it exports and imports.
//!
//! One pass over the file, in time and memory in step with its size: function bodies are stepped over, and nothing is compared
//! with anything. What that cannot see (are the types right, is the code valid) is found by the compiler, which is bounded
//! from outside.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentInstance, ComponentType,
    ComponentTypeRef, CoreType, Encoding, FromReader, Parser, Payload, SectionLimited,
};

use crate::bounds::ComponentBounds;
use crate::plugin::LoadError;

/// What this host can run, for messages.
pub(crate) const SUPPORTED: &str = "`weft:plugin@0.1.x`";

/// So many names stand in a message.
const NAMES_SHOWN: usize = 8;

/// Says plainly what a file is that is not a component, by its first bytes.
pub(crate) fn require_component(bytes: &[u8]) -> Result<(), LoadError> {
    const HINT: &str = "hint: build it for the target `wasm32-wasip2`, which makes components";
    let what = match bytes {
        [] => "the file is empty".to_owned(),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            format!("it is a core WebAssembly module, not a component\n{HINT}")
        }
        [0, b'a', b's', b'm', rest @ ..] if rest.len() < 4 => {
            "it ends in the middle of its header".to_owned()
        }
        [0, b'a', b's', b'm', ..] => format!("it is WebAssembly of an unknown version\n{HINT}"),
        [0x7f, b'E', b'L', b'F', ..] => format!("it is native code, not a component\n{HINT}"),
        _ if is_text(bytes) => format!("it is text, not a component in the binary format\n{HINT}"),
        _ => format!("it is not WebAssembly\n{HINT}"),
    };
    Err(LoadError::NotAComponent(what))
}

/// Whether the first bytes are text, which may be cut within a letter.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64)];
    match std::str::from_utf8(head) {
        Ok(text) => !text.contains('\0'),
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    }
}

/// Refuses what is no plugin, or larger than a plugin can be.
///
/// # Errors
/// With what it is, as its author would want to know it.
pub(crate) fn inspect(bytes: &[u8], bounds: &ComponentBounds) -> Result<(), LoadError> {
    require_component(bytes)?;
    let mut survey = Survey::new(bytes, bounds);
    survey.read().map_err(|fault| match fault {
        Fault::Invalid(error) => LoadError::NotAComponent(format!("it is not a valid component: {error}")),
        Fault::Beyond(what) => LoadError::TooLarge(what),
    })?;
    require_world(&survey.exports, &survey.imports)
}

enum Fault {
    Invalid(wasmparser::Error),
    Beyond(String),
}

impl From<wasmparser::Error> for Fault {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid(error)
    }
}

/// What has been counted so far.
struct Survey<'a> {
    bounds: &'a ComponentBounds,
    bytes: &'a [u8],
    /// The modules and components around the place that is read; the file itself is the first.
    around: Vec<Frame>,
    modules: usize,
    types: usize,
    names: usize,
    functions: usize,
    /// Instances that the largest component so far is, with those in it. Any component may be the one that is instantiated.
    largest: u64,
    exports: Vec<&'a str>,
    imports: Vec<&'a str>,
}

/// What a module or component is made of.
#[derive(Default)]
struct Frame {
    core_instances: u64,
    /// Instances of components.
    instances: u64,
}

impl<'a> Survey<'a> {
    fn new(bytes: &'a [u8], bounds: &'a ComponentBounds) -> Self {
        Self {
            bounds,
            bytes,
            around: Vec::new(),
            modules: 0,
            types: 0,
            names: 0,
            functions: 0,
            largest: 1,
            exports: Vec::new(),
            imports: Vec::new(),
        }
    }

    fn read(&mut self) -> Result<(), Fault> {
        for payload in Parser::new(0).parse_all(self.bytes) {
            self.take(payload?)?;
        }
        Ok(())
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), Fault> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.modules += 1;
                within(self.modules, self.bounds.modules, "modules and components")?;
                self.around.push(Frame::default());
                // A module is not a component that stands in another one.
                let depth = self.around.len() - usize::from(encoding == Encoding::Module);
                within(depth, self.bounds.depth, "components in each other")?;
            }
            Payload::End(_) => self.end()?,
            Payload::TypeSection(section) => {
                for group in section {
                    self.add_types(group?.types().len())?;
                }
            }
            Payload::CoreTypeSection(section) => {
                for found in section {
                    self.core_type(&found?)?;
                }
            }
            Payload::ComponentTypeSection(section) => self.component_types(section.range())?,
            Payload::ImportSection(section) => self.add_names(section.count())?,
            Payload::ExportSection(section) => self.add_names(section.count())?,
            Payload::ComponentAliasSection(section) => self.add_names(section.count())?,
            Payload::ComponentCanonicalSection(section) => self.add_names(section.count())?,
            Payload::ComponentImportSection(section) => self.component_imports(section)?,
            Payload::ComponentExportSection(section) => {
                self.add_names(section.count())?;
                if self.around.len() == 1 {
                    for export in section {
                        self.exports.push(export?.name.name);
                    }
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    instance?;
                    self.frame().core_instances += 1;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { .. } = instance? {
                        self.frame().instances += 1;
                    }
                }
            }
            Payload::FunctionSection(section) => {
                self.functions += section.count() as usize;
                within(self.functions, self.bounds.functions, "functions")?;
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                within(size, self.bounds.function_bytes, "bytes of code in one function")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn component_imports(&mut self, section: SectionLimited<'a, ComponentImport<'a>>) -> Result<(), Fault> {
        self.add_names(section.count())?;
        if self.around.len() == 1 {
            for import in section {
                self.imports.push(import?.name.name);
            }
        }
        Ok(())
    }

    /// A module or component ends: how many instances it is when it is instantiated.
    fn end(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.around.pop() else { return Ok(()) };
        let inner = frame.instances.saturating_mul(self.largest);
        let all = 1u64.saturating_add(frame.core_instances).saturating_add(inner);
        if all > self.bounds.instances {
            return Err(beyond("instances", self.bounds.instances));
        }
        self.largest = self.largest.max(all);
        Ok(())
    }

    fn core_type(&mut self, found: &CoreType<'_>) -> Result<(), Fault> {
        self.add_types(match found {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => 1 + declarations.len(),
        })
    }

    /// Types of a component, which stand in each other. The parser would read them with a call for each level, and so
    /// end the process where there are many: here the levels are in a list.
    fn component_types(&mut self, range: std::ops::Range<usize>) -> Result<(), Fault> {
        let data = self.bytes.get(range.clone()).unwrap_or_default();
        let mut reader = BinaryReader::new(data, range.start);
        // How many are still to be read at each level.
        let mut left = vec![reader.read_var_u32()?];
        while let Some(count) = left.last_mut() {
            let Some(next) = count.checked_sub(1) else {
                left.pop();
                continue;
            };
            *count = next;
            if left.len() > 1 && !self.is_type(&mut reader)? {
                continue;
            }
            self.add_types(1)?;
            let mut ahead = reader.clone();
            if matches!(ahead.read_u8()?, 0x41 | 0x42) {
                left.push(ahead.read_var_u32()?);
                reader = ahead;
                within(left.len() - 1, self.bounds.depth, "types in each other")?;
            } else {
                ComponentType::from_reader(&mut reader)?;
            }
        }
        Ok(())
    }

    /// Reads the head of a declaration in a type, and all of it unless it is a type.
    fn is_type(&mut self, reader: &mut BinaryReader<'a>) -> Result<bool, Fault> {
        match reader.read_u8()? {
            0x00 => self.core_type(&CoreType::from_reader(reader)?)?,
            0x01 => return Ok(true),
            0x02 => {
                ComponentAlias::from_reader(reader)?;
                self.add_names(1)?;
            }
            0x03 => {
                ComponentImport::from_reader(reader)?;
                self.add_names(1)?;
            }
            // An export, or what the compiler will not know either.
            _ => {
                ComponentExternName::from_reader(reader)?;
                ComponentTypeRef::from_reader(reader)?;
                self.add_names(1)?;
            }
        }
        Ok(false)
    }

    fn add_types(&mut self, count: usize) -> Result<(), Fault> {
        self.types += count;
        within(self.types, self.bounds.types, "types")
    }

    fn add_names(&mut self, count: u32) -> Result<(), Fault> {
        self.names += count as usize;
        within(self.names, self.bounds.names, "imports, exports and aliases")
    }

    /// The module or component that is read.
    fn frame(&mut self) -> &mut Frame {
        if self.around.is_empty() {
            self.around.push(Frame::default());
        }
        let last = self.around.len() - 1;
        &mut self.around[last]
    }
}

fn within(count: usize, bound: usize, what: &str) -> Result<(), Fault> {
    if count <= bound { Ok(()) } else { Err(beyond(what, bound as u64)) }
}

fn beyond(what: &str, bound: u64) -> Fault {
    Fault::Beyond(format!("it has more than {bound} {what}, which no plugin needs; it is not compiled"))
}

/// Whether a component is a plugin of a version that this host knows.
fn require_world(exports: &[&str], imports: &[&str]) -> Result<(), LoadError> {
    let has = |interface: &str| {
        let name = format!("weft:plugin/{interface}@0.1.");
        exports.iter().any(|export| export.starts_with(&name))
    };
    if !has("descriptor") || !(has("task") || has("trigger")) {
        return Err(wrong_world(exports));
    }
    let is_offered = |import: &str| match import.split_once('@') {
        Some((name, version)) if name.starts_with("weft:plugin/") => version.starts_with("0.1."),
        Some((name, version)) if name.starts_with("wasi:") => version.starts_with("0.2."),
        _ => false,
    };
    match imports.iter().find(|import| !is_offered(import)) {
        None => Ok(()),
        Some(import) => Err(not_offered(&format!("it imports {}", shown(import)))),
    }
}

/// What a component needs that is not here.
pub(crate) fn not_offered(what: &str) -> LoadError {
    LoadError::World(format!(
        "it needs what this engine does not offer: {what}\nhint: the engine offers {SUPPORTED} and WASI 0.2"
    ))
}

/// What a component is that is no plugin of a version that this host knows.
pub(crate) fn wrong_world(exports: &[&str]) -> LoadError {
    let mut names: Vec<_> = exports.iter().take(NAMES_SHOWN).map(|name| shown(name)).collect();
    if exports.len() > NAMES_SHOWN {
        names.push(format!("{} more", exports.len() - NAMES_SHOWN));
    }
    let exports = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    LoadError::World(format!(
        "it is not a plugin of a version that this engine knows: it exports {exports}; expected are \
         `weft:plugin/descriptor` and `weft:plugin/task` or `weft:plugin/trigger` of {SUPPORTED}\n\
         hint: build it with a `weft-sdk` for this engine"
    ))
}

/// A name in a message: of a file that anybody may have made.
fn shown(name: &str) -> String {
    let plain: String = name.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("`{plain}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_components() {
        for (bytes, expected) in [
            (&b""[..], "the file is empty"),
            (b"\0asm", "it ends in the middle of its header"),
            (b"\0asm\x01\0\0\0\x01", "it is a core WebAssembly module"),
            (b"\0asm\x09\0\x01\0", "it is WebAssembly of an unknown version"),
            (b"\x7fELF\x02", "it is native code"),
            (b"(component)", "it is text"),
            (b"\xff\xfe\0\0", "it is not WebAssembly"),
            (&[0; 64], "it is not WebAssembly"),
        ] {
            let error = require_component(bytes).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(require_component(b"\0asm\x0d\0\x01\0").is_ok());
    }

    use wasm_encoder::{
        CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
        ComponentInstanceSection, ComponentTypeRef as Reference, ComponentTypeSection, Function,
        FunctionSection, InstanceType, Instruction, Module, ModuleSection, NestedComponentSection,
        RawSection, TypeSection,
    };

    const BOUNDS: ComponentBounds = ComponentBounds {
        depth: 4,
        modules: 8,
        instances: 20,
        types: 20,
        names: 20,
        functions: 10,
        function_bytes: 100,
    };

    /// A component with these parts, which exports what a plugin does.
    fn plugin(parts: impl FnOnce(&mut Component)) -> Vec<u8> {
        exporting(&["weft:plugin/descriptor@0.1.0", "weft:plugin/task@0.1.3"], parts)
    }

    fn exporting(names: &[&str], parts: impl FnOnce(&mut Component)) -> Vec<u8> {
        let mut component = Component::new();
        parts(&mut component);
        let mut instances = ComponentInstanceSection::new();
        instances.export_items(std::iter::empty::<(&str, ComponentExportKind, u32)>());
        let mut exports = ComponentExportSection::new();
        for name in names {
            exports.export(*name, ComponentExportKind::Instance, 0, None);
        }
        component.section(&instances).section(&exports);
        component.finish()
    }

    /// A module with functions that do nothing, so often.
    fn module(functions: u32, instructions: usize) -> Module {
        let mut module = Module::new();
        let (mut types, mut heads, mut code) =
            (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        for _ in 0..functions {
            heads.function(0);
            let mut body = Function::new([]);
            (0..instructions).for_each(|_| {
                body.instruction(&Instruction::Nop);
            });
            body.instruction(&Instruction::End);
            code.function(&body);
        }
        module.section(&types).section(&heads).section(&code);
        module
    }

    fn nested(depth: usize) -> Component {
        let mut component = Component::new();
        if depth > 0 {
            component.section(&NestedComponentSection(&nested(depth - 1)));
        }
        component
    }

    /// A component that makes so many instances of the first one it knows.
    fn instantiating(count: usize) -> Component {
        let mut component = Component::new();
        let mut instances = ComponentInstanceSection::new();
        for _ in 0..count {
            instances.instantiate(0, std::iter::empty::<(&str, ComponentExportKind, u32)>());
        }
        component.section(&instances);
        component
    }

    fn instance_type(depth: usize) -> InstanceType {
        let mut outer = InstanceType::new();
        if depth > 0 {
            outer.ty().instance(&instance_type(depth - 1));
        }
        outer
    }

    fn types(count: usize, depth: usize) -> ComponentTypeSection {
        let mut section = ComponentTypeSection::new();
        for _ in 0..count {
            section.instance(&instance_type(depth));
        }
        section
    }

    #[test]
    fn components_within_the_bounds_are_plugins() {
        let all = plugin(|component| {
            component.section(&ModuleSection(&module(10, 90)));
            component.section(&NestedComponentSection(&nested(2)));
            component.section(&NestedComponentSection(&instantiating(4)));
            component.section(&types(4, 3));
        });
        inspect(&all, &BOUNDS).unwrap();
    }

    #[test]
    fn what_is_beyond_a_bound_is_named() {
        for (what, bytes) in [
            (
                "4 components in each other",
                plugin(|it| {
                    it.section(&NestedComponentSection(&nested(4)));
                }),
            ),
            (
                "8 modules and components",
                plugin(|it| {
                    (0..8).for_each(|_| {
                        it.section(&ModuleSection(&Module::new()));
                    })
                }),
            ),
            // Each twice what is before it, in case it is that.
            (
                "20 instances",
                plugin(|it| {
                    (0..5).for_each(|_| {
                        it.section(&NestedComponentSection(&instantiating(2)));
                    })
                }),
            ),
            (
                "20 types",
                plugin(|it| {
                    it.section(&types(21, 0));
                }),
            ),
            (
                "20 types",
                plugin(|it| {
                    it.section(&types(6, 3));
                }),
            ),
            (
                "4 types in each other",
                plugin(|it| {
                    it.section(&types(1, 5));
                }),
            ),
            (
                "10 functions",
                plugin(|it| {
                    it.section(&ModuleSection(&module(11, 1)));
                }),
            ),
            (
                "100 bytes of code in one function",
                plugin(|it| {
                    it.section(&ModuleSection(&module(1, 200)));
                }),
            ),
            ("20 imports, exports and aliases", exporting(&["weft:plugin/descriptor@0.1.0"; 21], |_| {})),
        ] {
            let error = inspect(&bytes, &BOUNDS).expect_err(what);
            assert_eq!(error.code(), "plugin.too-large", "{what}: {error}");
            assert!(error.to_string().starts_with(&format!("it has more than {what}")), "{what}: {error}");
        }
    }

    /// A reader that calls itself for each level would need hundreds of megabytes of stack for this.
    #[test]
    fn types_in_types_take_no_stack() {
        let mut data = vec![1];
        (0..1_000_000).for_each(|_| data.extend([0x42, 1, 1]));
        data.extend([0x42, 0]);
        let bytes = plugin(|it| {
            it.section(&RawSection { id: 7, data: &data });
        });
        let all = ComponentBounds { depth: usize::MAX, types: usize::MAX, ..BOUNDS };
        inspect(&bytes, &all).unwrap();
        assert_eq!(inspect(&bytes, &BOUNDS).unwrap_err().code(), "plugin.too-large");
    }

    #[test]
    fn a_component_says_by_its_names_whether_it_is_a_plugin() {
        let importing = |name: &str| {
            exporting(&["weft:plugin/descriptor@0.1.0", "weft:plugin/trigger@0.1.0"], |it| {
                let mut imports = ComponentImportSection::new();
                imports.import(name, Reference::Instance(0));
                it.section(&types(1, 0)).section(&imports);
            })
        };
        for (bytes, expected) in [
            (importing("wasi:io/streams@0.2.9"), None),
            (importing("weft:plugin/secrets@0.1.9"), None),
            (importing("weft:plugin/secrets@0.2.0"), Some("it imports `weft:plugin/secrets@0.2.0`")),
            (importing("wasi:http/types@0.3.0"), Some("it imports `wasi:http/types@0.3.0`")),
            (importing("acme:own/thing"), Some("it imports `acme:own/thing`")),
            (exporting(&[], |_| {}), Some("it exports nothing; expected are `weft:plugin/descriptor`")),
            (exporting(&["wasi:cli/run@0.2.3"], |_| {}), Some("it exports `wasi:cli/run@0.2.3`;")),
            (
                exporting(&["weft:plugin/descriptor@0.1.0"], |_| {}),
                Some("it exports `weft:plugin/descriptor@0.1.0`;"),
            ),
            (
                exporting(&["weft:plugin/descriptor@0.2.0", "weft:plugin/task@0.2.0"], |_| {}),
                Some("it exports `weft:plugin/descriptor@0.2.0`, `weft:plugin/task@0.2.0`;"),
            ),
        ] {
            let found = inspect(&bytes, &BOUNDS).err();
            assert_eq!(found.as_ref().map(LoadError::code), expected.map(|_| "plugin.world"), "{found:?}");
            let message = found.map(|error| error.to_string()).unwrap_or_default();
            assert!(message.contains(expected.unwrap_or_default()), "{message}");
        }
    }

    /// Neither a panic nor a wait, whatever the bytes are.
    #[test]
    fn cut_and_changed_components_are_read_to_their_fault() {
        let whole = plugin(|component| {
            component.section(&ModuleSection(&module(3, 5)));
            component.section(&NestedComponentSection(&instantiating(2)));
            component.section(&types(2, 2));
        });
        for end in 0..whole.len() {
            assert!(inspect(&whole[..end], &BOUNDS).is_err(), "{end} of {} bytes", whole.len());
        }
        for at in 8..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                // What it says is up to the change.
                let _ = inspect(&changed, &BOUNDS);
            }
        }
    }
}
