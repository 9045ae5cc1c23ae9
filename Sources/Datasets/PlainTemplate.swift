// How a conversation is written for a model without a chat template.

/// The plain layout: headings for each turn, and the end-of-text token after each answer.
///
/// ```
/// ### Instruction:
/// What is LoRA?
///
/// ### Response:
/// Low-rank adaptation.</s>
/// ```
public enum PlainTemplate {
    /// The layout as a chat template, so that it goes through the same code as a model's own.
    public static let source = """
        {{- bos_token -}}
        {%- for message in messages -%}
            {%- if not loop.first -%}{{ '\\n\\n' }}{%- endif -%}
            {%- if message.role == 'assistant' -%}
                {{- '### Response:\\n' + message.content + eos_token -}}
            {%- elif message.role == 'user' -%}
                {{- '### Instruction:\\n' + message.content -}}
            {%- else -%}
                {{- '### ' + message.role.title() + ':\\n' + message.content -}}
            {%- endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{ '\\n\\n### Response:\\n' }}{%- endif -%}
        """
}
