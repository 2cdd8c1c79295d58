//! A component that is no plugin: it exports `wasi:cli/run`.

fn main() {
    println!("not a plugin");
}
