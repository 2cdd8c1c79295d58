use weft_sdk::prelude::*;
/// Says hello.
#[derive(Deserialize, JsonSchema)]
struct Hello {
    /// Who to greet.
    name: String,
}
impl Task for Hello {
    const TYPE: &'static str = "examples.hello";
    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.log().info(format!("hello {}", self.name));
        Ok(json!({ "length": self.name.len() }))
    }
}
plugin!(Hello);
